import { UsageError } from '../errors.ts';
import type { Mistake, Placed, Position } from './mistake.ts';
import { type ReadValue, Section } from './section.ts';
import {
  duration,
  type FileSettings,
  gone,
  type GONE_CHOICES,
  MOST_VERSIONS,
  number,
  SETTING_SECTIONS,
  SETTINGS,
} from './settings.ts';
import type { Tree } from './yaml-tree.ts';

/** What a configuration file says. */
export interface Configuration extends FileSettings {
  /** In the order of the file, which is that in which they are synced. */
  readonly sources: readonly NamedSource[];
  /** Whether other hosts use the storage of a pool, by the pool's name. */
  readonly sharing: ReadonlyMap<string, Placed<'yes' | 'no'>>;
}

/** A source with all that is said of it; `undefined`: nothing. */
export interface SourceSettings {
  readonly name: string | undefined;
  /** As it was written, credentials included. */
  readonly url: string;
  readonly path: string | undefined;
  readonly mirrors: readonly string[] | undefined;
  /** A file, or the name of a publisher or key. */
  readonly keyring: string | undefined;
  readonly policy: 'signed' | 'none' | undefined;
  readonly filters: readonly string[] | undefined;
  /** Items that may be taken, the best first. */
  readonly items: readonly string[] | undefined;
  readonly keepVersions: number | undefined;
  readonly gone: (typeof GONE_CHOICES)[number] | undefined;
  readonly maxDocumentAge: string | undefined;
}

/** A source of a configuration file. */
export interface NamedSource extends SourceSettings {
  readonly name: string;
  /** What the file says of it, key by key, with the line. */
  readonly written: readonly WrittenSetting[];
}

/** One key of a source in the file. */
export interface WrittenSetting {
  readonly key: string;
  readonly value: string | number | readonly string[];
  readonly line: number;
}

/** Checks of what is written, by the readers that options have. Each throws UsageError. */
export interface ValueChecks {
  /** Returns the address as it may be shown: two sources of the same are one. */
  readonly url: (text: string, name: string) => string;
  readonly filter: (text: string) => void;
  readonly keyring: (text: string, name: string) => void;
}

const SOURCE_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;

/** Reads what a file says, as far as it makes sense, and collects every mistake in it, in the order of the file. */
export function readConfiguration(
  tree: Tree | undefined,
  file: string,
  checks: ValueChecks,
): { readonly configuration: Configuration; readonly mistakes: readonly Mistake[] } {
  const mistakes: Mistake[] = [];
  const root = new Section(tree ?? { kind: 'nothing', line: 1, column: 1 }, 'the file', mistakes);
  const sections = new Map(SETTING_SECTIONS.map((name) => [name, root.section(name)] as const));
  const settings = new Map(
    SETTINGS.flatMap(({ key, section, read }) => {
      const placed = ((section && sections.get(section)) ?? root).value(key, read);
      return placed === undefined ? [] : [[key, placed] as const];
    }),
  );
  const sources = readSources(root.section('sources'), checks, mistakes);
  const sharing = readSharing(root.section('storage'));
  refusePeers(root.peek('peers'), mistakes);
  for (const section of [...sections.values(), root]) section.close();
  const inOrder = mistakes.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { configuration: { file, settings, sources, sharing }, mistakes: inOrder };
}

/** What is said of the storage of pools. */
function readSharing(storage: Section): Configuration['sharing'] {
  const sharing = new Map<string, Placed<'yes' | 'no'>>();
  for (const { name, section } of storage.named()) {
    const shared = section.value('shared', yesOrNo);
    section.close();
    if (shared !== undefined) sharing.set(name, shared);
  }
  return sharing;
}

/** YAML 1.1 took `no` for false, so both are understood. */
function yesOrNo(given: string, name: string): 'yes' | 'no' {
  if (given === 'yes' || given === 'true') return 'yes';
  if (given === 'no' || given === 'false') return 'no';
  throw new UsageError(`${name} cannot be ${given}, only yes or no`);
}

function readSources(sources: Section, checks: ValueChecks, mistakes: Mistake[]): readonly NamedSource[] {
  const known = new Map<string, string>();
  return sources.named().flatMap(({ name, section, ...position }) => {
    if (!SOURCE_NAME.test(name)) mistakes.push(badName(name, position));
    const source = readSource(name, section, checks);
    section.close();
    if (source === undefined) {
      if (section.isMap && section.peek('url') === undefined) mistakes.push(noAddress(name, position));
      return [];
    }
    const address = checks.url(source.url, 'url');
    const other = known.get(address);
    if (other !== undefined) mistakes.push(sameAddress(name, other, section.placeOf('url') ?? position));
    known.set(address, name);
    return [source];
  });
}

function readSource(name: string, section: Section, checks: ValueChecks): NamedSource | undefined {
  const placed = {
    url: section.value('url', checked(checks.url)),
    path: section.value('path', String),
    mirrors: section.list('mirrors', checked(checks.url)),
    keyring: section.value('keyring', checked(checks.keyring)),
    policy: section.value('policy', policy),
    filters: section.list('filters', checked(checks.filter)),
    items: section.list('items', String),
    'keep-versions': section.value('keep-versions', number(1, MOST_VERSIONS)),
    gone: section.value('gone', gone),
    'max-document-age': section.value('max-document-age', duration),
  };
  if (placed.url === undefined) return undefined;
  const written = Object.entries(placed).flatMap(([key, setting]) =>
    setting === undefined ? [] : [{ key, value: setting.value, line: setting.line }],
  );
  return {
    name,
    url: placed.url.value,
    path: valueOf(placed.path),
    mirrors: valueOf(placed.mirrors),
    keyring: valueOf(placed.keyring),
    policy: valueOf(placed.policy),
    filters: valueOf(placed.filters),
    items: valueOf(placed.items),
    keepVersions: valueOf(placed['keep-versions']),
    gone: valueOf(placed.gone),
    maxDocumentAge: valueOf(placed['max-document-age']),
    written,
  };
}

function valueOf<T>(placed: Placed<T> | undefined): T | undefined {
  return placed?.value;
}

function checked(check: (text: string, name: string) => unknown): ReadValue<string> {
  return (given, name) => {
    check(given, name);
    return given;
  };
}

function policy(given: string, name: string): 'signed' | 'none' {
  if (given === 'signed' || given === 'none') return given;
  throw new UsageError(`${name} cannot be ${given}, only signed or none`);
}

function badName(name: string, position: Position): Mistake {
  return { ...position, message: `'${name}' cannot name a source`, hint: `use letters, digits, '.', '_' and '-'` };
}

function noAddress(name: string, position: Position): Mistake {
  return { ...position, message: `source '${name}' has no 'url'`, hint: 'give the address that holds streams/' };
}

function sameAddress(name: string, other: string, { line, column }: Position): Mistake {
  const message = `source '${name}' has the address of source '${other}'`;
  return { line, column, message, hint: 'write one source, with filters that select what both should' };
}

/** To leave them out would be to delete what their domains need. */
function refusePeers(peers: Tree | undefined, mistakes: Mistake[]): void {
  if (peers === undefined || peers.kind === 'nothing' || peers.kind === 'refused') return;
  const { line, column } = peers;
  if (peers.kind !== 'list')
    mistakes.push({ line, column, message: `'peers' must be a list`, hint: 'write []: there are none yet' });
  else if (peers.members.length > 0)
    mistakes.push({
      line,
      column,
      message: 'several hosts on one pool are not supported yet, so their domains would not be seen',
      hint: 'leave peers empty, and let poolkeeper delete nothing on storage that hosts share',
    });
}
