import type { Argv } from 'yargs';
import { countFields, countValues, listCatalog } from '../core/catalog.ts';
import { explainNoMatch } from '../core/filter-hints.ts';
import { type Filter, type FlatItem, parseFilter } from '../core/filter.ts';
import { identityText } from '../core/identity.ts';
import { nearNames } from '../core/near-names.ts';
import { debianArchitecture, type OfferedItem } from '../core/selection.ts';
import { LibvirtError, NoMatchError, PartialError, PoolkeeperError, UsageError } from '../errors.ts';
import { gatherPoolView } from '../gather/pool-view.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import { type CatalogRow, type Presence, showCatalog, showFields, showValues } from '../report/catalog-report.ts';
import type { Reporter } from '../report/reporter.ts';
import { type ChosenSource, chooseSources } from './choose-sources.ts';
import type { CommandContext } from './context.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { readOffer } from './read-source.ts';
import { fetcherOf, openSession, reporterOf, withConnection } from './session.ts';
import { type SourceArguments, sourceOptions } from './source-options.ts';
import type { SourceReader } from './source-reader.ts';
import { timedExpression } from './timed-expression.ts';

interface CatalogArguments extends SourceArguments, PoolArguments {
  readonly all: boolean;
  readonly fields: boolean;
  readonly values: string | undefined;
}

/** `catalog [FILTER…]`: lists what the sources offer, and changes nothing. */
export function catalogCommand(context: CommandContext): Verb<CatalogArguments> {
  return {
    builder: (yargs) => catalogOptions(yargs) as unknown as Argv<CatalogArguments>,
    handler: (options) => runCatalog(context, options),
  };
}

function catalogOptions<T>(yargs: Argv<T>) {
  return sourceOptions(poolOptions(yargs))
    .option('all', { type: 'boolean', default: false, describe: 'every version, not only the newest of each product' })
    .option('fields', { type: 'boolean', default: false, describe: 'the keys that filters can be about' })
    .option('values', { type: 'string', requiresArg: true, describe: 'the values of this key' });
}

async function runCatalog(context: CommandContext, options: CatalogArguments): Promise<void> {
  if (options.fields && options.values !== undefined) throw new UsageError('--fields and --values exclude each other');
  const isListing = !options.fields && options.values === undefined;
  const texts = options.filters ?? [];
  const usual = isListing ? [`arch=${debianArchitecture(context.architecture)}`] : [];
  const filters = texts.map((text) => parseFilter(text, timedExpression));
  // Filters of the configuration are left out: the question is what else there is.
  const sources = chooseSources({ ...options, filters: texts.length > 0 ? texts : usual }, context);
  const reporter = reporterOf(context, options);
  const fetcher = fetcherOf(context);
  try {
    const pool = await lookAtPool(context, options, reporter);
    const reader = { context, reporter, fetcher, options, poolType: 'dir', memoryDir: pool.memoryDir };
    const offers = await readOffers(sources, reader);
    if (isListing) list(offers, { ...pool, hasAll: options.all, hasSources: sources.length > 1 }, reporter);
    else if (options.values === undefined) showFields(countFields(tagsOf(offers), filters), reporter);
    else values(options.values, offers, filters, reporter);
    assertComplete(offers.length, sources.length);
  } finally {
    await fetcher.close();
  }
}

interface SeenPool {
  /** What the pool has, by identity. */
  readonly presence: ReadonlyMap<string, Presence>;
  readonly memoryDir: string | undefined;
}

/** What sources offer can be told without a pool, too. */
async function lookAtPool(context: CommandContext, options: CatalogArguments, reporter: Reporter): Promise<SeenPool> {
  try {
    return await withConnection(options, async (connection) => {
      const { pool, paths } = await openSession(context, options, connection);
      const view = await gatherPoolView(pool, await listVolumeNames(connection, pool.name), paths);
      const presence = [...view.managed.values()].map(({ identity }): [string, Presence] => {
        const text = identityText(identity);
        return [text, view.metadata.has(text) ? 'offered' : 'held'];
      });
      return { presence: new Map(presence), memoryDir: paths.sources };
    });
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    reporter.warning(
      `what the pool holds is not marked, and old data of sources not noticed: ${error.message}`,
      error.hint,
    );
    return { presence: new Map(), memoryDir: undefined };
  }
}

/** What one source offers. */
interface Offer {
  readonly chosen: ChosenSource;
  items(this: void): Iterable<OfferedItem>;
}

/** @throws the failure of a source that is the only one; others are reported. */
async function readOffers(sources: readonly ChosenSource[], reader: SourceReader): Promise<readonly Offer[]> {
  const offers: Offer[] = [];
  for (const chosen of sources) {
    try {
      const stream = await readOffer(chosen, reader);
      offers.push({ chosen, items: () => stream.items() });
    } catch (error) {
      reader.context.signal.throwIfAborted();
      if (sources.length === 1 || !(error instanceof PoolkeeperError)) throw error;
      reader.reporter.error(error);
    }
  }
  return offers;
}

interface Listing extends SeenPool {
  readonly hasAll: boolean;
  readonly hasSources: boolean;
}

function list(offers: readonly Offer[], { presence, hasAll, hasSources }: Listing, reporter: Reporter): void {
  const rows = offers.flatMap(({ chosen, items }): readonly CatalogRow[] => {
    const { name, location, filters, preference } = chosen;
    return listCatalog(items(), { filters, preference, hasAll }).map((entry) => ({
      entry,
      source: name ?? location.display,
      presence: presence.get(identityText(entry.identity)),
    }));
  });
  if (rows.length === 0) throw nothingMatches(offers);
  showCatalog(rows, hasSources, reporter);
}

function nothingMatches(offers: readonly Offer[]): NoMatchError {
  const filters = offers[0]?.chosen.filters ?? [];
  const hint = explainNoMatch(filters, tagsOf(offers));
  const texts = filters.map(({ text }) => text).join(' ');
  return new NoMatchError(`nothing on offer matches ${texts}`, hint === undefined ? {} : { hint });
}

function values(key: string, offers: readonly Offer[], filters: readonly Filter[], reporter: Reporter): void {
  const counts = countValues(tagsOf(offers), key, filters);
  if (counts.length > 0) return showValues(key, counts, reporter);
  const fields = countFields(tagsOf(offers), []).map(({ name }) => name);
  const near = nearNames(key, fields).map((name) => `'${name}'`);
  const hint = explainNoMatch(filters, tagsOf(offers));
  throw new NoMatchError(`nothing on offer has a key '${key}'`, {
    hint:
      near.length > 0 ? `did you mean ${near.join(' or ')}?` : (hint ?? `'poolkeeper catalog --fields' lists the keys`),
  });
}

function* tagsOf(offers: readonly Offer[]): Generator<FlatItem> {
  for (const { items } of offers) for (const { tags } of items()) yield tags;
}

function assertComplete(read: number, all: number): void {
  if (read < all) throw new PartialError(`${all - read} of ${all} sources failed`);
}
