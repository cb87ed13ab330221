/** Bits of capabilities, `linux/capability.h`. */
export const CAPABILITIES = {
  /** Writing where modes forbid it. */
  dacOverride: 1n,
  /** Leases on files of others. */
  lease: 28n,
} as const;

/** Whether a process has a capability now, by the text of its `/proc/PID/status`. A text that does not tell says no. */
export function hasCapability(status: string, bit: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
}
