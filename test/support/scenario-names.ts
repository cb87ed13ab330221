import { link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { disk, fileDisk, type Scenario, type Stage } from './scenario.ts';

/** A way to spell the path of a volume of the pool, as a domain's XML may have it. */
type Spelling = readonly [what: string, spell: (path: string, stage: Stage) => string | Promise<string>];

const SPELLINGS: readonly Spelling[] = [
  ['repeated slashes', (path) => path.replaceAll('/', '//').slice(1)],
  ['two slashes in front', (path) => `/${path}`],
  ['a dot', (path, { pool }) => `${pool}/./${basename(path)}`],
  ['two dots', (path, { pool }) => `${pool}/../${basename(pool)}/${basename(path)}`],
  [
    'a linked directory',
    async (path, { outside, pool }) => {
      await symlink(pool, join(outside, 'images'));
      return join(outside, 'images', basename(path));
    },
  ],
  [
    'two dots behind a linked directory',
    async (path, { outside, pool }) => {
      await symlink(pool, join(outside, 'images'));
      return `${outside}/images/../${basename(pool)}/${basename(path)}`;
    },
  ],
  [
    'a link to it',
    async (path, { outside }) => {
      await symlink(path, join(outside, 'link'));
      return join(outside, 'link');
    },
  ],
  [
    'a link to a link to it',
    async (path, { outside }) => {
      await symlink(path, join(outside, 'link'));
      await symlink('link', join(outside, 'link2'));
      return join(outside, 'link2');
    },
  ],
  [
    'a hard link',
    async (path, { outside }) => {
      await link(path, join(outside, 'hard'));
      return join(outside, 'hard');
    },
  ],
  ['a relative path', (path) => path.slice(1)],
  ['its name alone', (path) => basename(path)],
  ['a path of VMware', (path) => `[datastore] web1/${basename(path)}`],
];

const SPELLING_SCENARIOS: readonly Scenario[] = SPELLINGS.map(([what, spell]) => ({
  row: '2 spelling',
  title: `keeps a disk that is named by ${what}`,
  build: async (stage) => {
    const path = await spell(await stage.keep(), stage);
    await stage.twin();
    await stage.define({ devices: fileDisk(path) });
  },
}));

/** File names of overlays that XML does not show as they are. */
const ODD_NAMES: readonly (readonly [what: string, name: string])[] = [
  ['a line break', 'nl\nx.qcow2'],
  ['a carriage return', 'cr\rx.qcow2'],
  ['both line breaks', 'crlf\r\nx.qcow2'],
  ['a tab', 'tab\tx.qcow2'],
  ['blanks inside and around', ' two  blanks .qcow2'],
  ['marks of XML', `a&b<c>"d'.qcow2`],
  ['a comma', 'a,b.qcow2'],
  ['a colon', 'a:b.qcow2'],
  ['a per cent sign', 'a%20b.qcow2'],
  ['a composed letter (NFC)', 'caf\u00e9.qcow2'],
  ['a decomposed letter (NFD)', 'cafe\u0301.qcow2'],
];

const ODD_NAME_SCENARIOS: readonly Scenario[] = ODD_NAMES.flatMap(([what, name]) => [
  {
    row: '2 names',
    title: `keeps the base of an overlay in the pool with ${what} in its name`,
    build: async (stage) => {
      await stage.overlay(join(stage.pool, `${stage.key}${name}`), await stage.keep());
      await stage.twin();
    },
  },
  {
    row: '2 names',
    title: `keeps the base of a domain's overlay with ${what} in its name`,
    build: async (stage) => {
      const overlay = await stage.overlay(join(stage.outside, name), await stage.keep());
      await stage.define({ devices: fileDisk(escape(overlay)) });
      const other = await stage.overlay(join(stage.outside, `${name}2`), await stage.twin());
      await rm(other);
    },
  },
]);

const NOT_UTF8: readonly Scenario[] = [
  {
    row: '2 names',
    title: 'keeps the bases of two overlays whose names are not UTF-8, and look alike',
    build: async (stage) => {
      for (const [byte, role] of [
        [0xff, 'one'],
        [0xfe, 'two'],
      ] as const) {
        const made = await stage.overlay(join(stage.outside, role), await stage.keep(role));
        await rename(made, Buffer.concat([Buffer.from(`${stage.pool}/${stage.key}`), Buffer.from([byte])]));
      }
      await stage.twin();
    },
  },
  {
    row: '2 names',
    title: 'keeps the base of an overlay in a folder whose name is not UTF-8',
    build: async (stage) => {
      const folder = Buffer.concat([Buffer.from(`${stage.pool}/${stage.key}`), Buffer.from([0xe9])]);
      await mkdir(folder);
      const made = await stage.overlay(join(stage.outside, 'top'), await stage.keep());
      await rename(made, Buffer.concat([folder, Buffer.from('/top')]));
      await stage.twin();
    },
  },
];

const LINKS: readonly Scenario[] = [
  {
    row: '2 symlink volume',
    title: 'keeps a volume that is a link to the disk of a domain, and not one to another file',
    build: async (stage) => {
      const target = await stage.image(join(stage.outside, 'target'));
      await symlink(target, stage.keepPath());
      await symlink(await stage.image(join(stage.outside, 'other')), stage.twinPath());
      await stage.define({ devices: fileDisk(target) });
    },
  },
  {
    row: '2 symlink volume',
    title: 'keeps a volume that is the target of another one that a domain needs',
    build: async (stage) => {
      const target = await stage.keep('target');
      await symlink(basename(target), stage.keepPath('link'));
      await symlink(basename(await stage.twin('target')), stage.twinPath('link'));
      const name = basename(stage.needed[1] ?? '');
      await stage.define({ devices: disk(`pool='uvtool' volume='${name}'`, { type: 'volume' }) });
    },
  },
  {
    row: '2 hard link',
    title: 'keeps both names of a file that a domain needs',
    build: async (stage) => {
      const [first, twin] = [await stage.keep('one'), await stage.twin('one')];
      await link(first, stage.keepPath('two'));
      await link(twin, stage.twinPath('two'));
      await stage.define({ devices: fileDisk(first) });
    },
  },
  {
    row: '2 relative backing',
    title: 'keeps the base that a linked overlay finds beside the link',
    build: async (stage) => {
      const base = await stage.keep();
      const overlay = await stage.overlay(join(stage.outside, 'top'), basename(base));
      await symlink(overlay, join(stage.pool, `${stage.key}.link`));
      await stage.overlay(join(stage.outside, 'other'), basename(await stage.twin()));
    },
  },
  {
    row: '2 relative backing',
    title: 'keeps the base that an overlay of the pool finds beside a link to it elsewhere',
    build: async (stage) => {
      const base = await stage.keep();
      await stage.twin();
      const overlay = await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), 'near.qcow2');
      await symlink(overlay, join(stage.outside, 'top'));
      await stage.overlay(join(stage.outside, 'near.qcow2'), base);
      await stage.define({ devices: fileDisk(join(stage.outside, 'top')) });
    },
  },
  {
    row: '2 relative backing',
    title: 'keeps the base that an overlay of the pool finds beside a hard link to it',
    build: async (stage) => {
      const base = await stage.keep();
      await stage.twin();
      const overlay = await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), 'near.qcow2');
      await link(overlay, join(stage.outside, 'top'));
      await stage.overlay(join(stage.outside, 'near.qcow2'), base);
      await stage.define({ devices: fileDisk(join(stage.outside, 'top')) });
    },
  },
];

const DIRECTORIES: readonly Scenario[] = [
  {
    row: '2 two pools',
    title: 'keeps a volume that a domain knows by another pool on the same directory',
    build: async (stage) => {
      const alias = join(stage.outside, 'alias');
      await symlink(stage.pool, alias);
      const name = basename(await stage.keep());
      await stage.twin();
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${alias}`, `pool-start ${stage.key}`);
      await stage.define({ devices: disk(`pool='${stage.key}' volume='${name}'`, { type: 'volume' }) });
    },
  },
  {
    row: '2 directory',
    title: 'keeps an image that a folder below the pool covers, and none because of its sister',
    build: async (stage) => {
      const folder = join(stage.pool, `${stage.key}.d`);
      await mkdir(folder);
      await stage.overlay(join(folder, 'top'), await stage.keep());
      await stage.twin();
      await mkdir(`${stage.pool}-old`, { recursive: true });
      const source = (path: string): string =>
        `<filesystem type='mount'><source dir='${path}'/><target dir='t${basename(path)}'/></filesystem>`;
      await stage.define({ devices: source(folder) + source(`${stage.pool}-old`) });
    },
  },
  {
    row: '2 directory',
    title: 'keeps the base of an overlay that lies deep below the pool and that nobody names',
    build: async (stage) => {
      const folder = join(stage.pool, `${stage.key}.d`, 'deep');
      await mkdir(folder, { recursive: true });
      await stage.overlay(join(folder, 'top'), await stage.keep());
      await symlink('..', join(folder, 'loop'));
      await writeFile(join(folder, 'note.txt'), `not about ${await stage.twin()}`);
    },
  },
];

/** How names and paths may be written (in-use.md, section 2). */
export const NAME_SCENARIOS: readonly Scenario[] = [
  ...SPELLING_SCENARIOS,
  ...ODD_NAME_SCENARIOS,
  ...NOT_UTF8,
  ...LINKS,
  ...DIRECTORIES,
];

function escape(text: string): string {
  return text.replaceAll(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
