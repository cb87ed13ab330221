import { isObject, malformed, requireObject, type JsonObject } from './json.ts';

const MEMBER = '_aliases';

/**
 * A copy of a document with its `_aliases` merged in: an object whose member K has the value V gets the scalar members
 * of `_aliases[K][V]`, which overwrite its own. An empty value means no alias. Members that an alias brings are not
 * looked up again: whether the reference does so depends on the order of the text.
 *
 * @throws SourceError when a value has no alias.
 */
export function expandAliases(root: JsonObject, document: string): JsonObject {
  if (!Object.hasOwn(root, MEMBER)) return root;
  const { [MEMBER]: declared, ...rest } = root;
  const aliases = new Map<string, JsonObject>();
  for (const [key, values] of Object.entries(requireObject(declared, document, MEMBER))) {
    aliases.set(key, requireObject(values, document, MEMBER, key));
  }
  return expandObject(rest, { aliases, document });
}

interface Expansion {
  readonly aliases: ReadonlyMap<string, JsonObject>;
  readonly document: string;
}

// The depth of the recursion is bounded by the depth that the JSON scan lets through.
function expandObject(node: JsonObject, expansion: Expansion): JsonObject {
  const members = Object.entries(node);
  const own = members.map(([key, value]): [string, unknown] => [key, expandValue(value, expansion)]);
  return Object.fromEntries([...own, ...members.flatMap(([key, value]) => aliasMembers(key, value, expansion))]);
}

function expandValue(value: unknown, expansion: Expansion): unknown {
  if (Array.isArray(value)) return value.map((element) => expandValue(element, expansion));
  return isObject(value) ? expandObject(value, expansion) : value;
}

function aliasMembers(key: string, value: unknown, { aliases, document }: Expansion): [string, unknown][] {
  const values = aliases.get(key);
  if (values === undefined || typeof value !== 'string' || value === '') return [];
  if (!Object.hasOwn(values, value)) throw malformed(document, [MEMBER, key], `has no alias ${JSON.stringify(value)}`);
  const alias = requireObject(values[value], document, MEMBER, key, value);
  return Object.entries(alias).filter(([, member]) => typeof member !== 'object');
}
