import { Ajv, type ValidateFunction } from 'ajv';
import { readFile } from 'node:fs/promises';
import { jsonLines } from './json-lines.ts';

/** What describes every line that the program prints with `--json`. */
export interface MessageSchema {
  readonly messageTypes: readonly string[];
  /** What is wrong with the lines of a run; nothing if all is well. */
  complaintsAbout(stdout: string): readonly string[];
}

const FILE = new URL('../../../src/report/schemas/messages.schema.json', import.meta.url);

/** Reads the schemas as they are shipped. */
export async function readMessageSchema(): Promise<MessageSchema> {
  const schema = JSON.parse(await readFile(FILE, 'utf8')) as { oneOf: { $ref: string }[] };
  const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).addSchema(schema, 'messages');
  const messageTypes = schema.oneOf.map(({ $ref }) => $ref.replace('#/$defs/', ''));
  const validators = new Map<string, ValidateFunction | undefined>(
    messageTypes.map((type) => [type, ajv.getSchema(`messages#/$defs/${type}`)]),
  );
  return {
    messageTypes,
    complaintsAbout: (stdout) =>
      jsonLines(stdout).flatMap((line) => {
        const validate = validators.get(String(line['message_type']));
        if (validate === undefined) return [`no schema for ${JSON.stringify(line)}`];
        return validate(line) ? [] : [`${JSON.stringify(line)}: ${ajv.errorsText(validate.errors)}`];
      }),
  };
}
