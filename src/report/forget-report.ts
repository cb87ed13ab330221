import { absentText } from '../core/absent-name.ts';
import type { AbsentName } from '../core/reference.ts';
import { printableLine } from './printable.ts';
import type { Fields, Reporter } from './reporter.ts';

/** A name that leads to nothing, and where it would lie. */
interface ShownName {
  readonly name: AbsentName;
  readonly documents: readonly string[];
  readonly isHistorical: boolean;
  readonly folder: string;
  readonly place:
    | {
        readonly mounted: { readonly point: string; readonly type: string; readonly source: string } | undefined;
        readonly awaited: { readonly point: string; readonly by: string } | undefined;
      }
    | undefined;
}

/** The groups, in the order in which they are shown. */
const TITLES = {
  now: undefined,
  historical: 'named by nothing but snapshots, checkpoints and saved states',
  awaited: 'below what is configured and not mounted; each of these has to be named',
} as const;

type Group = keyof typeof TITLES;

/** Shows which names lead to nothing, by folder and file system, with the number of the list. */
export function showUnanswered(
  { all, digest }: { readonly all: readonly ShownName[]; readonly digest: string },
  reporter: Reporter,
): void {
  reporter.rows('absent_name', all.map(fieldsOf), () => `${textOf(all).map(printableLine).join('\n')}\n`);
  const text = `list ${digest}: ${all.length} name(s) lead to nothing`;
  reporter.event('change', text, 'absent_list', { count: all.length, digest });
}

/** Says that a name was forgotten. */
export function showForgotten({ name }: Pick<ShownName, 'name'>, reason: string | undefined, reporter: Reporter): void {
  const text = `forgot '${absentText(name)}': what it led to is gone for good`;
  reporter.event('change', text, 'forgotten', { name: absentText(name), kind: name.kind, reason });
}

/** Says that a name that was forgotten is waited for again. */
export function showRemembered(
  { name, isBack }: { readonly name: AbsentName; readonly isBack: boolean },
  reporter: Reporter,
): void {
  const text = isBack
    ? `'${absentText(name)}' is back, so it is no longer forgotten`
    : `nothing names '${absentText(name)}' any more, or it is back, so it is no longer forgotten`;
  reporter.event('change', text, 'remembered', { name: absentText(name), is_back: isBack });
}

function groupOf({ isHistorical, place }: ShownName): Group {
  if (place?.awaited !== undefined) return 'awaited';
  return isHistorical ? 'historical' : 'now';
}

function textOf(all: readonly ShownName[]): readonly string[] {
  const lines: string[] = [];
  for (const group of ['now', 'historical', 'awaited'] as const) {
    const names = all.filter((each) => groupOf(each) === group);
    const title = TITLES[group];
    if (names.length > 0 && title !== undefined) lines.push(`${title}:`);
    let folder: string | undefined;
    for (const each of names) {
      if (each.folder !== folder) lines.push(`${each.folder} (${placeText(each)})`);
      folder = each.folder;
      const [first = '', ...more] = each.documents;
      lines.push(`  ${absentText(each.name)}  ${first}${more.length > 0 ? `, and ${more.length} more` : ''}`);
    }
  }
  return lines;
}

function placeText({ place, name }: ShownName): string {
  if (place === undefined) return name.kind === 'volume' ? 'no such pool has a folder here' : 'not on this host';
  const { mounted, awaited } = place;
  if (awaited !== undefined) return `${awaited.point} is not mounted, see ${awaited.by}`;
  return mounted === undefined
    ? 'on no file system that is mounted'
    : `on ${mounted.point}: ${mounted.type}, ${mounted.source}`;
}

function fieldsOf(each: ShownName): Fields {
  const { name, documents, isHistorical, folder, place } = each;
  return {
    name: absentText(name),
    kind: name.kind,
    folder,
    mount_point: place?.mounted?.point,
    file_system: place?.mounted?.type,
    source: place?.mounted?.source,
    awaited_mount_point: place?.awaited?.point,
    configured_by: place?.awaited?.by,
    is_historical: isHistorical,
    named_by: documents,
  };
}
