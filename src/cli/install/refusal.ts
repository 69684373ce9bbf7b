/** Why a command does not do what it was asked for, and its exit status: 2 where the words are off, else 1. */
export class Refusal extends Error {
  readonly status: 1 | 2;

  constructor(status: 1 | 2, message: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
  }
}
