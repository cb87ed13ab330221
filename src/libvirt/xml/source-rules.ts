import type { Rule } from './rule.ts';

/** A place that holds a disk source: a node with `@type` and a child `source`. */
interface SourcePlace {
  readonly element: string;
  readonly since: string;
  readonly note: string;
}

const PLACES: readonly SourcePlace[] = [
  { element: 'disk', since: '0.0.3', note: 'domain, snapshot overlay, chain of a block job' },
  { element: 'backingStore', since: '1.2.4', note: 'nested to any depth; without type it ends the chain' },
  { element: 'mirror', since: '1.2.6', note: 'block copy and active commit; in live XML only' },
  { element: 'nvram', since: '8.5.0', note: 'firmware variables on any kind of storage' },
  { element: 'dataStore', since: '10.10.0', note: 'qcow2 data file of a disk or of a backing store' },
  { element: 'src', since: '6.0.0', note: 'status XML: source of a block job' },
  { element: 'store', since: '6.0.0', note: 'status XML: store of a backup job' },
];

type SourceLeaf = Pick<Rule, 'content'> & { readonly type: string; readonly leaf: string };

// libvirt reads only the attribute that @type selects.
const LEAVES: readonly SourceLeaf[] = [
  { type: 'file', leaf: 'source/@file', content: 'path' },
  { type: 'block', leaf: 'source/@dev', content: 'path' },
  { type: 'dir', leaf: 'source/@dir', content: 'fat' },
  { type: 'network', leaf: 'source[@protocol]/@name', content: 'network' },
  { type: 'volume', leaf: 'source[@pool]/@volume', content: 'volume' },
];

const TYPED_SOURCES: readonly Rule[] = PLACES.flatMap(({ element, since, note }) =>
  LEAVES.map(({ type, leaf, content }) => ({ xpath: `//${element}[@type='${type}']/${leaf}`, content, since, note })),
);

/** The disk-source block in every place where it occurs (in-use.md, section 1.1). */
export const SOURCE_RULES: readonly Rule[] = [
  ...TYPED_SOURCES,
  { xpath: '//disk[not(@type)]/source/@file', content: 'path', since: '0.0.3', note: 'a disk without type is a file' },
  { xpath: '//mirror/@file', content: 'path', since: '0.9.12', note: 'block copy, before it had a source' },
  { xpath: '//disk/source/identity/@keyfile', content: 'path', since: '9.8.0', note: 'ssh' },
  { xpath: '//disk/source/knownHosts/@path', content: 'path', since: '9.8.0', note: 'ssh' },
];
