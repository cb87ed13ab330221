import { IMAGE_STATUSES, type ImageStatus } from './lifecycle.ts';

/** What can be asked for about one image. */
export const IMAGE_COMMANDS = [
  'list',
  'show',
  'path',
  'clone',
  'lease',
  'enable',
  'disable',
  'persistent',
  'nonpersistent',
  'lock',
  'unlock',
  'rename',
  'update',
  'chtype',
  'chown',
  'chmod',
  'delete',
  'undo',
  'snapshot create',
  'snapshot list',
  'snapshot revert',
  'snapshot delete',
  'snapshot flatten',
  'verify',
  'import',
  'create',
] as const;

export type ImageCommand = (typeof IMAGE_COMMANDS)[number];

/** Whether a command does anything to an image, and what. */
export type Permission =
  /** It may be done; `to` is the status that it leads to, if another. */
  | { readonly kind: 'allowed'; readonly to?: ImageStatus }
  /** There is nothing to do: what was asked for is so already. */
  | { readonly kind: 'done'; readonly why: string }
  | Refusal;

/** Why a command is not carried out. */
export interface Refusal {
  readonly kind: 'refused';
  /** Behind "cannot COMMAND image X: ". */
  readonly why: string;
  readonly hint: string;
  /** `in use`: something needs the image, or is just writing it; `absent`: there is none that could be meant; `--any`: lifted by that option. */
  readonly nature?: 'in use' | 'absent' | '--any';
}

/** What is true of an image beside its status. */
export interface ImageFacts {
  readonly status: ImageStatus;
  /** It has a metadata file, so that new domains can be built on it. */
  readonly isOffered: boolean;
  readonly isPersistent: boolean;
  /** The volume of the persistent image whose former content it holds. */
  readonly snapshotOf: string | undefined;
}

const ALLOWED: Permission = { kind: 'allowed' };

/** Those who read or build need all of its bytes; that it is out of circulation can be overruled. */
const READ_BY_CHOICE: Row = { active: ALLOWED, deactivated: unlessAny, pending_delete: unlessAny };

/** What is kept can be changed. */
const CHANGE: Row = { active: ALLOWED, deactivated: ALLOWED };

const ALWAYS: Row = Object.fromEntries(IMAGE_STATUSES.map((status) => [status, ALLOWED]));

/** As long as there is an image, whatever its state. */
const WHILE_THERE: Row = { ...ALWAYS, deleted: undefined };

/** A name is free again when nothing complete bears it; what was interrupted is begun anew. */
const NAMED_ANEW: Row = {
  queued: ALLOWED,
  importing: ALLOWED,
  killed: ALLOWED,
  deleted: ALLOWED,
  saving: taken,
  active: taken,
  deactivated: taken,
  pending_delete: taken,
};

/** What a row says of a status; a function words a refusal by the usual words for the status. */
type Cell = Permission | ((usual: Refusal) => Refusal) | undefined;
type Row = Partial<Record<ImageStatus, Cell>>;

/** What each command does in each status. What is not listed is refused with the usual words. */
const TABLE: Readonly<Record<ImageCommand, Row>> = {
  list: ALWAYS,
  show: ALWAYS,
  path: READ_BY_CHOICE,
  clone: READ_BY_CHOICE,
  lease: READ_BY_CHOICE,
  enable: { deactivated: { kind: 'allowed', to: 'active' }, active: { kind: 'done', why: 'it is enabled already' } },
  disable: {
    active: { kind: 'allowed', to: 'deactivated' },
    deactivated: { kind: 'done', why: 'it is disabled already' },
  },
  persistent: CHANGE,
  nonpersistent: CHANGE,
  lock: WHILE_THERE,
  unlock: WHILE_THERE,
  rename: CHANGE,
  update: CHANGE,
  chtype: CHANGE,
  chown: CHANGE,
  chmod: CHANGE,
  delete: {
    queued: { kind: 'allowed', to: 'deleted' },
    saving: { kind: 'allowed', to: 'killed' },
    importing: { kind: 'allowed', to: 'killed' },
    active: { kind: 'allowed', to: 'pending_delete' },
    deactivated: { kind: 'allowed', to: 'pending_delete' },
    pending_delete: { kind: 'done', why: 'it waits for its deletion already' },
    killed: { kind: 'done', why: 'it waits for its deletion already, because it failed' },
  },
  undo: { pending_delete: { kind: 'allowed', to: 'active' }, active: notWaiting, deactivated: notWaiting },
  'snapshot create': CHANGE,
  'snapshot list': ALWAYS,
  'snapshot revert': CHANGE,
  'snapshot delete': CHANGE,
  'snapshot flatten': CHANGE,
  verify: { ...CHANGE, pending_delete: ALLOWED },
  import: NAMED_ANEW,
  create: NAMED_ANEW,
};

/** The usual words for a status in which something is not possible. */
const USUAL: Readonly<Record<ImageStatus, Refusal>> = {
  queued: arriving('it has not begun to arrive', `'poolkeeper sync' fetches it`),
  saving: arriving('it has not arrived wholly', `'poolkeeper sync' fetches the rest of it`),
  importing: arriving(
    'it has not been brought in wholly',
    `run again what was bringing it in, or give it up with 'poolkeeper delete'`,
  ),
  active: refusal('it is in circulation', `'poolkeeper show' tells its state`),
  deactivated: refusal('it is disabled', `'poolkeeper enable' puts it back into circulation`),
  pending_delete: refusal('it waits for its deletion', `'poolkeeper undo' takes it back`),
  killed: refusal(
    'it failed on its way',
    `'poolkeeper delete --now' removes what is left of it; then it can be brought in anew`,
  ),
  deleted: {
    ...refusal('it was deleted', `'poolkeeper sync' fetches it again, if its source still has it`),
    nature: 'absent',
  },
};

/** Whether a command may be carried out on an image of a status; every pair has an answer. */
export function permissionIn(command: ImageCommand, status: ImageStatus): Permission {
  const cell = TABLE[command][status];
  const usual = USUAL[status];
  return typeof cell === 'function' ? cell(usual) : (cell ?? usual);
}

/** Whether a command may be carried out on an image, by its status first, then by what else is true of it. */
export function permissionFor(command: ImageCommand, facts: ImageFacts): Permission {
  const permission = permissionIn(command, facts.status);
  return permission.kind === 'refused' ? permission : (exception(command, facts) ?? permission);
}

/** Commands that leave a snapshot and the image that it belongs to as they are. */
const HARMLESS: ReadonlySet<ImageCommand> = new Set<ImageCommand>([
  'list',
  'show',
  'undo',
  'verify',
  'import',
  'create',
]);

function exception(command: ImageCommand, facts: ImageFacts): Permission | undefined {
  if (facts.snapshotOf !== undefined && !HARMLESS.has(command)) return ofSnapshot(facts.snapshotOf);
  return facts.isPersistent ? PERSISTENT_ROW[command] : ordinaryException(command, facts);
}

function ordinaryException(command: ImageCommand, { status, isOffered }: ImageFacts): Permission | undefined {
  if (status === 'active' && !isOffered && TABLE[command] === READ_BY_CHOICE) return NOT_OFFERED;
  return ORDINARY_ROW[command];
}

const NOT_PERSISTENT = refusal('it is not persistent', `'poolkeeper persistent' makes it so; others have no snapshots`);

const PERSISTENT: Refusal = {
  ...refusal('it is persistent', `make it an image like any other with 'poolkeeper nonpersistent' first`),
  nature: 'in use',
};

const WRITTEN: Refusal = {
  ...refusal('it is persistent, and the domain that uses it writes to it', '--any takes it all the same'),
  nature: '--any',
};

const NOT_OFFERED: Refusal = {
  ...refusal(
    'it is not offered to new domains',
    `--any takes it all the same; 'poolkeeper query' lists the images that are offered`,
  ),
  nature: '--any',
};

/** What is otherwise possible, and not for images that a domain writes to. */
const PERSISTENT_ROW: Partial<Record<ImageCommand, Permission>> = {
  persistent: { kind: 'done', why: 'it is persistent already' },
  delete: PERSISTENT,
  path: WRITTEN,
  clone: WRITTEN,
  lease: WRITTEN,
};

/** What is otherwise possible, and only for images that a domain writes to. */
const ORDINARY_ROW: Partial<Record<ImageCommand, Permission>> = {
  nonpersistent: { kind: 'done', why: 'it is not persistent' },
  'snapshot create': NOT_PERSISTENT,
  'snapshot list': NOT_PERSISTENT,
  'snapshot revert': NOT_PERSISTENT,
  'snapshot delete': NOT_PERSISTENT,
  'snapshot flatten': NOT_PERSISTENT,
};

function ofSnapshot(volumeName: string): Refusal {
  return refusal(
    `it is a snapshot of the image in volume '${volumeName}'`,
    `'poolkeeper snapshot' reverts to it or deletes it`,
  );
}

function unlessAny({ why, hint }: Refusal): Refusal {
  return { kind: 'refused', why, hint: `--any takes it all the same; ${hint}`, nature: '--any' };
}

function taken(): Refusal {
  return refusal('it exists already', `choose another name, or free this one with 'poolkeeper delete --now'`);
}

function notWaiting({ why }: Refusal): Refusal {
  return refusal(why, 'only what waits for its deletion can be taken back');
}

/** Somebody is just writing it. */
function arriving(why: string, hint: string): Refusal {
  return { ...refusal(why, hint), nature: 'in use' };
}

function refusal(why: string, hint: string): Refusal {
  return { kind: 'refused', why, hint };
}

/** What a command does to the image of a name, as in "cannot …". */
const WORDS: Readonly<Record<ImageCommand, (name: string) => string>> = {
  list: (name) => `list ${name}`,
  show: (name) => `show ${name}`,
  path: (name) => `tell the path of ${name}`,
  clone: (name) => `clone ${name}`,
  lease: (name) => `lease ${name}`,
  enable: (name) => `enable ${name}`,
  disable: (name) => `disable ${name}`,
  persistent: (name) => `make ${name} persistent`,
  nonpersistent: (name) => `make ${name} nonpersistent`,
  lock: (name) => `lock ${name}`,
  unlock: (name) => `unlock ${name}`,
  rename: (name) => `rename ${name}`,
  update: (name) => `update ${name}`,
  chtype: (name) => `change the type of ${name}`,
  chown: (name) => `change the owner of ${name}`,
  chmod: (name) => `change the mode of ${name}`,
  delete: (name) => `delete ${name}`,
  undo: (name) => `take ${name} back`,
  'snapshot create': (name) => `take a snapshot of ${name}`,
  'snapshot list': (name) => `list the snapshots of ${name}`,
  'snapshot revert': (name) => `revert ${name}`,
  'snapshot delete': (name) => `delete a snapshot of ${name}`,
  'snapshot flatten': (name) => `flatten ${name}`,
  verify: (name) => `verify ${name}`,
  import: (name) => `import ${name}`,
  create: (name) => `create ${name}`,
};

/** What a command does to the image of a name, for messages: `make image golden persistent`. */
export function commandWords(command: ImageCommand, name: string): string {
  return WORDS[command](name);
}
