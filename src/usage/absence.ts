import { absentText } from '../core/absent-name.ts';
import type { AbsentName, BlindSpot } from '../core/reference.ts';
import type { Absence, AbsenceVerdict, Edge } from '../core/use-graph.ts';
import { shellWord } from '../util/shell.ts';

/** Formats in which no image stands on another one, as documents state them. */
const WITHOUT_CHAIN: ReadonlySet<string> = new Set(['', 'raw', 'iso', 'dmg', 'bochs', 'cloop', 'dir', 'fat', 'luks']);

/**
 * Formats whose images all show it by their first bytes. A VHD of fixed size has its mark at the end, and nothing stands behind
 * one; and where no format is stated, bytes without a mark are a raw image.
 */
const WITH_MAGIC: ReadonlySet<string> = new Set(['qcow', 'qcow2', 'qed', 'vmdk', 'vdi', 'vhdx', 'parallels']);

/** Everything that is known about a name that leads to nothing. */
export interface AbsenceFacts {
  readonly name: AbsentName;
  /** Everything that names it. */
  readonly edges: readonly Edge[];
  /**
   * Who knows what became of it; `undefined` when nobody does. What poolkeeper remembers of former runs belongs here as soon as it
   * remembers anything: that a file handle says so, that the folder of last time is without it, that the file system was
   * a tmpfs of another boot. Nothing that can be seen now is such an answer: a folder with other files, or a mounted
   * tmpfs, may lie over the one that was meant.
   */
  readonly answer: AbsenceAnswer | undefined;
}

/** A proof that a name leads to nothing for good. */
export interface AbsenceAnswer {
  /** An administrator said so. */
  readonly by: 'forgotten';
}

/** What it means that a name leads to nothing: a question, unless somebody knows the answer. */
export function judgeAbsence({ edges, answer }: AbsenceFacts): AbsenceVerdict {
  if (answer !== undefined) return 'gone';
  const formats = edges.flatMap((edge) => edge.formats ?? []);
  if (formats.length === 0) return 'no image';
  return formats.some(mayStandOnOthers) ? 'unanswered' : 'bytes';
}

/** Whether an image opened in this format may stand on another one. */
export function mayStandOnOthers(format: string): boolean {
  return !WITHOUT_CHAIN.has(format);
}

/** Whether what was found where an edge leads cannot be what its document says: then the image itself is elsewhere. */
export function isUnlike(
  { formats = [] }: Edge,
  found: { readonly hasMagic: boolean; readonly isEmpty: boolean },
): boolean {
  if (found.hasMagic) return false;
  return formats.some(
    (format) => WITH_MAGIC.has(format) || (found.isEmpty && format !== 'auto' && mayStandOnOthers(format)),
  );
}

/** What nobody can know as long as an absence is unanswered. */
export function absenceSpot({ name, edges, cause }: Absence, holder: string | undefined): BlindSpot {
  const first = edges.find(({ formats = [] }) => formats.some(mayStandOnOthers)) ?? edges[0];
  const more = edges.length > 1 ? `, and ${edges.length - 1} more` : '';
  const by = first === undefined ? '' : `; ${first.document} names it at ${first.reference.evidence}${more}`;
  return {
    kind: 'absent',
    what: whatOf(name),
    cause: cause + by,
    remedy: `${remedyOf(name)}; if it is gone for good: poolkeeper forget ${shellWord(absentText(name))}`,
    concerns: 'everything',
    ...(holder !== undefined && { holder }),
  };
}

function whatOf(name: AbsentName): string {
  switch (name.kind) {
    case 'path':
      return `image ${name.path}`;
    case 'volume':
      return `volume '${name.volume}' in pool '${name.pool}'`;
    case 'network':
      return `image '${name.name}' over ${name.protocol}`;
  }
}

function remedyOf(name: AbsentName): string {
  switch (name.kind) {
    case 'path':
      return 'mount or attach what it lies on';
    case 'volume':
      return `let pool '${name.pool}' show it: mount what it lies on, start or refresh the pool`;
    case 'network':
      return 'define a pool that shows it';
  }
}
