import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** The arguments with which Node runs the program as the compiler wrote it, whatever bundle lies in this checkout. */
export function compiledProgram(args: readonly string[]): readonly string[] {
  return ['-e', `import('${CLI}').then(({ main }) => main())`, 'poolkeeper', ...args];
}
