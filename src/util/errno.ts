/** The code of a system error (`ENOENT`), or `undefined` for every other value. */
export function errnoCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
