import { basename, join } from 'node:path';
import type { Scenario, Stage } from './scenario.ts';

/** A backing string as it may stand in a header. */
type Form = readonly [what: string, string: (path: string, stage: Stage) => string];

const FORMS: readonly Form[] = [
  ['an absolute path', (path) => path],
  ['doubled slashes', (path) => path.replace(/\/(?=[^/]*$)/, '//')],
  ['a relative path', (path) => basename(path)],
  ['a relative path with a dot', (path) => `./${basename(path)}`],
  ['a relative path with two dots', (path, { pool }) => `../${basename(pool)}/${basename(path)}`],
  ['json: with a file', (path) => json({ driver: 'qcow2', file: { driver: 'file', filename: path } })],
  ['json: with dotted keys', (path) => json({ driver: 'qcow2', 'file.driver': 'file', 'file.filename': path })],
  ['json: with a bare file', (path) => json({ driver: 'file', filename: path })],
  ['json: in single quotes', (path) => `json:{'driver':'qcow2','file':{'driver':'file','filename':'${path}'}}`],
  [
    'json: raw with an offset',
    (path) => json({ driver: 'raw', offset: 0, size: 65_536, file: { driver: 'file', filename: path } }),
  ],
  [
    'json: quorum',
    (path) =>
      json({
        driver: 'quorum',
        'vote-threshold': 1,
        children: [{ driver: 'qcow2', file: { driver: 'file', filename: path } }],
      }),
  ],
  [
    'json: blkdebug',
    (path) => json({ driver: 'qcow2', file: { driver: 'blkdebug', image: { driver: 'file', filename: path } } }),
  ],
  [
    'json: with a relative name',
    (path) => json({ driver: 'qcow2', file: { driver: 'file', filename: basename(path) } }),
  ],
  ['json: rbd', (path) => json({ driver: 'rbd', pool: 'rbd', image: basename(path) })],
  ['json: nbd', (path) => json({ driver: 'nbd', host: 'localhost', port: '10809', export: basename(path) })],
  ['file:', (path) => `file:${path}`],
  ['file://', (path) => `file://${path}`],
  ['blkdebug::', (path) => `blkdebug::${path}`],
  ['nbd:', (path) => `nbd:localhost:10809:exportname=${basename(path)}`],
  ['nbd://', (path) => `nbd://localhost/${basename(path)}`],
  ['nbd+unix://', (path) => `nbd+unix:///${basename(path)}?socket=/run/nbd.sock`],
  ['https:// with a password', (path) => `https://user:secret@example.com/images/${basename(path)}`],
  ['gluster://', (path) => `gluster://host/vol0/${basename(path)}`],
  ['iscsi://', (path) => `iscsi://host/iqn.2004-01.com.example:${basename(path)}/0`],
  ['ssh://', (path) => `ssh://root@host${path}`],
  ['rbd:', (path) => `rbd:rbd/${basename(path)}:id=admin:conf=/etc/ceph/ceph.conf`],
];

const NETWORK = /^(?:json:.*"driver":"(?:rbd|nbd)"|(?:nbd|https|gluster|iscsi|ssh|rbd)[:+])/;

/** Backing strings of qcow2 images (in-use.md, section 3). */
export const BACKING_SCENARIOS: readonly Scenario[] = FORMS.map(([what, write]) => ({
  row: '3 backing string',
  title: `keeps a base that an overlay names by ${what}`,
  build: async (stage) => {
    const name = write(await stage.keep(), stage);
    // What only a network shows and may stand on others could stand on anything.
    const format = NETWORK.test(name) ? 'raw' : 'qcow2';
    await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), name, format);
    await stage.twin();
  },
}));

function json(options: object): string {
  return `json:${JSON.stringify(options)}`;
}
