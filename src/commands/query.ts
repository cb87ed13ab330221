import type { Argv } from 'yargs';
import { type Filter, matchesAll, parseFilter } from '../core/filter.ts';
import { gatherPoolView } from '../gather/pool-view.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import type { CommandContext } from './context.ts';
import { offeredImages } from './offered-images.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { openSession, type Session, withConnection } from './session.ts';
import { timedExpression } from './timed-expression.ts';
import { warnOfSlips } from './warn-of-slips.ts';

interface QueryArguments extends PoolArguments {
  readonly filters: readonly string[] | undefined;
}

/** `query [FILTER…]`: lists the images that are offered to new domains, as uvtool does. */
export function queryCommand(context: CommandContext): Verb<QueryArguments> {
  return {
    builder: (yargs) => queryOptions(yargs) as Argv<QueryArguments>,
    handler: async (options) => {
      const filters = (options.filters ?? []).map((text) => parseFilter(text, timedExpression));
      await withConnection(options, async (connection) => {
        await query(await openSession(context, options, connection), filters, options.quiet);
      });
    },
  };
}

function queryOptions(yargs: Argv): Argv {
  return poolOptions(yargs).positional('filters', {
    type: 'string',
    array: true,
    describe: 'KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX',
  });
}

/** Lists what has both a volume and a metadata file; nothing is changed, whatever is found. */
async function query(
  { connection, pool, paths, reporter }: Session,
  filters: readonly Filter[],
  isQuiet: boolean,
): Promise<void> {
  const volumes = await listVolumeNames(connection, pool.name);
  const view = await gatherPoolView(pool, volumes, paths);
  for (const { error } of view.damaged) reporter.warning(error.message, error.hint);
  const offered = offeredImages(view);
  const matching = offered.filter(({ tags }) => matchesAll(tags, filters));
  if (matching.length === 0 && !isQuiet)
    warnOfSlips(filters, { items: offered.map(({ tags }) => tags), what: 'images on offer' }, reporter);
  const lines = matching.map(({ identity, item }) => {
    const { release = '', arch = '', label = '' } = item;
    return { text: `release=${release} arch=${arch} label=${label} (${identity.version})`, item, identity };
  });
  for (const { text, item, identity } of lines.toSorted((a, b) => (a.text < b.text ? -1 : 1))) {
    reporter.data(text, 'image', { product: identity.product, version: identity.version, tags: item });
  }
}
