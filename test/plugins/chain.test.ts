import { resolve } from 'node:path';
import { chainSuite } from '../support/chain-suite.ts';

const BUILT = resolve(import.meta.dirname, '../../.cache/cni-plugins-go/v1.9.1');

chainSuite({ version: '1.1.0', name: 'the newest', folders: [BUILT] });
