/** How much a finding matters: a problem keeps poolkeeper from its work, or will. */
export type FindingLevel = 'ok' | 'warning' | 'problem';

/** Something that was found out about the health of a host. */
export interface Finding {
  readonly level: FindingLevel;
  /** What is so: one line, lower case, no full stop. */
  readonly message: string;
  /** What mends it, a command if possible. */
  readonly fix?: string | undefined;
}

/** A finding, and which check found it. */
export interface CheckedFinding extends Finding {
  readonly check: string;
}

/** Nothing is wrong. */
export function ok(message: string): Finding {
  return { level: 'ok', message };
}

/** Something that is wrong, or will be. */
export function warning(message: string, fix?: string): Finding {
  return { level: 'warning', message, fix };
}

/** Something that keeps poolkeeper, uvtool or QEMU from working. */
export function problem(message: string, fix?: string): Finding {
  return { level: 'problem', message, fix };
}

/** What was found, or that all is well if it was nothing. */
export function orOk(findings: readonly Finding[], message: string): readonly Finding[] {
  return findings.length > 0 ? findings : [ok(message)];
}
