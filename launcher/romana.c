/*
 * The CNI plugin as the container runtime starts it: hands its environment and standard input to the agent's unix
 * socket and prints the answer. All of CNI is in the agent; only what must be said without one is said here.
 *
 * Request: `KEY=VALUE\0` for each CNI_ variable that is set, `\0`, standard input, then shutdown(SHUT_WR).
 * Answer: the exit status as '0' or '1', '\n', then the JSON for standard output with a closing '\n', or nothing.
 *
 * Bounds: input 1 MiB, answer 1 MiB, variables 256 KiB; 60 s for a call (kubelet gives the runtime 120 s), 5 s for
 * STATUS and VERSION. An agent that does not run is noticed at once (connect to a unix socket does not wait).
 * STATUS is good for a minute after an agent said so last: one that is being replaced is back by then, and a node that
 * is not ready for a moment has its pods taken out of their Services.
 * Errors: https://www.cni.dev/docs/spec/#error (4 environment, 5 I/O, 6 decoding, 11 try again later, 50 not available).
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef ROMANA_SOCKET
#define ROMANA_SOCKET "/run/romana/agent.sock"
#endif
#ifndef ROMANA_CALL_SECONDS
#define ROMANA_CALL_SECONDS 60
#endif
#ifndef ROMANA_STATUS_SECONDS
#define ROMANA_STATUS_SECONDS 5
#endif
/* Its time of change says when an agent said last that all is well. On a file system that a reboot clears. */
#ifndef ROMANA_GOOD
#define ROMANA_GOOD "/run/romana/good"
#endif
#ifndef ROMANA_ABSENCE_SECONDS
#define ROMANA_ABSENCE_SECONDS 60
#endif

enum { VARIABLES_MAX = 256 << 10, INPUT_MAX = 1 << 20, ANSWER_MAX = 1 << 20 };

static const char *const variables[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"};
static char request[VARIABLES_MAX + INPUT_MAX + 1], answer[ANSWER_MAX + 1], version[16] = "1.1.0";
static const char *command = "";

static int write_all(int fd, const char *from, size_t left) {
  while (left > 0) {
    ssize_t n = write(fd, from, left);
    if (n < 0 && errno != EINTR) return -1;
    if (n > 0) from += n, left -= (size_t)n;
  }
  return 0;
}

/* Reads to the end of fd, at most `max` bytes; the length, or -1 with errno (EFBIG: more than max). */
static ssize_t read_all(int fd, char *to, size_t max) {
  size_t length = 0;
  for (;;) {
    ssize_t n = read(fd, to + length, max + 1 - length);
    if (n == 0) return (ssize_t)length;
    if (n < 0 && errno != EINTR) return -1;
    if (n > 0 && (length += (size_t)n) > max) return errno = EFBIG, -1;
  }
}

/* Prints the pieces, up to NULL, and ends. Only what a signal handler may call. */
static void say(int status, const char *const *pieces) {
  signal(SIGALRM, SIG_DFL); /* nobody reads what we say: end all the same */
  for (; *pieces != NULL; pieces++)
    if (write_all(STDOUT_FILENO, *pieces, strlen(*pieces)) != 0) _exit(1);
  _exit(status);
}

static void fail(const char *code, const char *why) {
  const char *const pieces[] = {"{\"cniVersion\":\"", version, "\",\"code\":", code, ",\"msg\":\"", why, "\"}\n", NULL};
  say(1, pieces);
}

static void note_good(void) {
  int fd = open(ROMANA_GOOD, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return; /* then the next absence is told at once */
  futimens(fd, NULL);
  close(fd);
}

static int was_good(void) {
  struct stat noted;
  time_t now = time(NULL);
  return stat(ROMANA_GOOD, &noted) == 0 && noted.st_mtime <= now && now - noted.st_mtime < ROMANA_ABSENCE_SECONDS;
}

static void without_agent(const char *why) {
  const char *const known[] = {"{\"cniVersion\":\"", version,
                               "\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n", NULL};
  static const char *const nothing[] = {NULL};
  if (strcmp(command, "VERSION") == 0) say(0, known);
  if (strcmp(command, "STATUS") == 0 && was_good()) say(0, nothing);
  fail(strcmp(command, "STATUS") == 0 ? "50" : "11", why);
}

static void on_alarm(int signal_number) {
  (void)signal_number;
  without_agent("the romana agent of this node did not answer in time");
}

/* Takes the value of the outermost object's "cniVersion" out of JSON, if it looks like a version. */
static void find_version(const char *json, const char *end) {
  const char *string = NULL; /* of the string that ends here */
  int depth = 0, wanted = 0;
  for (const char *p = json; p < end; p++) {
    if (*p == '{' || *p == '[') depth++;
    if (*p == '}' || *p == ']') depth--;
    if (*p == ':') wanted = depth == 1 && string != NULL && strncmp(string, "cniVersion\"", 11) == 0;
    if (*p != '"') continue;
    for (string = ++p; p < end && *p != '"'; p++)
      if (*p == '\\') p++;
    size_t length = p < end ? (size_t)(p - string) : 0;
    if (wanted && length > 0 && length < sizeof version && strspn(string, "0123456789.") == length) {
      memcpy(version, string, length);
      version[length] = '\0';
      return;
    }
    wanted = 0;
  }
}

int main(void) {
  size_t length = 0;
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    const char *value = getenv(variables[i]);
    if (value == NULL) continue;
    size_t name_length = strlen(variables[i]), value_length = strlen(value);
    if (i == 0) command = value;
    if (length + name_length + value_length + 3 > VARIABLES_MAX) fail("4", "the CNI_ variables are longer than 256 KiB");
    memcpy(request + length, variables[i], name_length);
    request[length + name_length] = '=';
    memcpy(request + length + name_length + 1, value, value_length + 1);
    length += name_length + value_length + 2;
  }
  request[length++] = '\0';

  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, on_alarm);
  alarm(strcmp(command, "STATUS") == 0 || strcmp(command, "VERSION") == 0 ? ROMANA_STATUS_SECONDS : ROMANA_CALL_SECONDS);
  ssize_t input = read_all(STDIN_FILENO, request + length, INPUT_MAX);
  if (input < 0 && errno == EFBIG) fail("6", "the network configuration on standard input is longer than 1 MiB");
  if (input < 0) fail("5", "could not read the network configuration from standard input");
  find_version(request + length, request + length + input);
  length += (size_t)input;

  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ROMANA_SOCKET};
  int agent = socket(AF_UNIX, SOCK_STREAM, 0);
  if (agent < 0) without_agent("could not make a socket to the romana agent of this node");
  while (connect(agent, (struct sockaddr *)&address, sizeof address) != 0)
    if (errno != EINTR) without_agent("no romana agent serves " ROMANA_SOCKET " on this node");
  /* An agent that refuses the request may answer before it has read all of it: its answer counts, not our EPIPE. */
  if (write_all(agent, request, length) == 0) shutdown(agent, SHUT_WR);

  ssize_t got = read_all(agent, answer, ANSWER_MAX);
  if (got < 2 || (answer[0] != '0' && answer[0] != '1') || answer[1] != '\n' || (got > 2 && answer[got - 1] != '\n'))
    without_agent("the romana agent of this node ended before it had answered");
  signal(SIGALRM, SIG_DFL); /* as in say */
  if (answer[0] == '0' && strcmp(command, "STATUS") == 0) note_good();
  return write_all(STDOUT_FILENO, answer + 2, (size_t)got - 2) == 0 ? answer[0] - '0' : 1;
}
