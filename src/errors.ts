/** The exit statuses of the program. Appended to, never renumbered; unknown means failure. */
export const EXIT = {
  done: 0,
  failure: 1,
  usage: 2,
  partial: 3,
  noMatch: 4,
  libvirt: 10,
  source: 11,
  trust: 12,
  incompleteView: 13,
  locked: 14,
  integrity: 15,
  inUse: 16,
  noSpace: 17,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

export interface ErrorDetails extends ErrorOptions {
  /** What the user can do about it: one line, lower case, no full stop. */
  readonly hint?: string;
}

/** A failure the user can act on: one line plus a hint, no stack. Anything else is a bug and keeps its stack. */
export abstract class PoolkeeperError extends Error {
  abstract readonly code: `POOLKEEPER_${string}`;
  abstract readonly exitStatus: ExitStatus;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.name = new.target.name;
    this.hint = details.hint;
  }
}

/** When a request to the user's own machine fails in a way that has no status of its own. */
export class FailureError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_FAILURE';
  readonly exitStatus = EXIT.failure;
}

/** When the command line, a filter or the configuration does not make sense. */
export class UsageError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_USAGE';
  readonly exitStatus = EXIT.usage;
}

/** When some items failed; each failure was already reported. The status is that of the failures if it says more. */
export class PartialError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_PARTIAL';
  readonly exitStatus: ExitStatus;

  constructor(message: string, details: ErrorDetails & { exitStatus?: ExitStatus } = {}) {
    super(message, details);
    this.exitStatus = details.exitStatus ?? EXIT.partial;
  }
}

/** When filters or names select nothing. */
export class NoMatchError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_NO_MATCH';
  readonly exitStatus = EXIT.noMatch;
}

/** When libvirt refuses or cannot be reached. `virErrorNumber` and `virErrorDomain` are libvirt's own (virterror.h). */
export class LibvirtError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_LIBVIRT';
  readonly exitStatus = EXIT.libvirt;
  readonly virErrorNumber: number;
  readonly virErrorDomain: number;

  constructor(message: string, details: ErrorDetails & { virErrorNumber?: number; virErrorDomain?: number } = {}) {
    super(message, details);
    this.virErrorNumber = details.virErrorNumber ?? 0;
    this.virErrorDomain = details.virErrorDomain ?? 0;
  }
}

/** When a simplestreams source cannot be read or does not follow the format. `url` never holds credentials. */
export class SourceError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_SOURCE';
  readonly exitStatus = EXIT.source;
  readonly url: string | undefined;
  readonly httpStatus: number | undefined;

  constructor(message: string, details: ErrorDetails & { url?: string; httpStatus?: number } = {}) {
    super(message, details);
    this.url = details.url;
    this.httpStatus = details.httpStatus;
  }
}

/** When a source's document, path or image must not be trusted: signature, rollback, unsafe path, unsafe header. */
export class TrustError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_TRUST';
  readonly exitStatus = EXIT.trust;
}

/** When poolkeeper cannot see everything that may need a volume, and so deletes nothing. */
export class IncompleteViewError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_INCOMPLETE_VIEW';
  readonly exitStatus = EXIT.incompleteView;
}

/** When another process holds the pool's state. */
export class LockedError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_LOCKED';
  readonly exitStatus = EXIT.locked;
}

/** When bytes are not what they should be: digest, size, or one of poolkeeper's own files. */
export class IntegrityError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_INTEGRITY';
  readonly exitStatus = EXIT.integrity;
  readonly expected: string | undefined;
  readonly found: string | undefined;

  constructor(message: string, details: ErrorDetails & { expected?: string; found?: string } = {}) {
    super(message, details);
    this.expected = details.expected;
    this.found = details.found;
  }
}

/** When something asked for by name cannot be removed or changed because it is needed. */
export class InUseError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_IN_USE';
  readonly exitStatus = EXIT.inUse;
}

/** When the pool or the file system of the state has no room. */
export class NoSpaceError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_NO_SPACE';
  readonly exitStatus = EXIT.noSpace;
}

/** When the user or the system asked the program to stop. */
export class InterruptedError extends PoolkeeperError {
  readonly code = 'POOLKEEPER_INTERRUPTED';
  readonly exitStatus: ExitStatus;

  constructor(message: string, details: ErrorDetails & { exitStatus?: ExitStatus } = {}) {
    super(message, details);
    this.exitStatus = details.exitStatus ?? EXIT.interrupted;
  }
}

/** When a command that was run for the user ended with a status of its own, about which it said all there is to say. */
export class CommandExit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the command ended with status ${status}`);
    this.status = status;
  }
}
