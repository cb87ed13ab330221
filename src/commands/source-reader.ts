import type { Fetcher } from '../core/ports.ts';
import type { Selection } from '../core/selection.ts';
import type { StreamSummary } from '../simplestreams/fetch-stream.ts';
import type { SourceLocation } from '../simplestreams/source.ts';
import type { ChosenSource } from './choose-sources.ts';
import type { CommonArguments } from './options.ts';
import type { Session } from './session.ts';

/** What a source offers to this run. */
export interface ReadSource {
  readonly chosen: ChosenSource;
  readonly location: SourceLocation;
  readonly stream: StreamSummary;
  readonly selection: Selection;
  /** The names of all products, before filters. */
  readonly listed: readonly string[];
}

/** What is needed to read sources. */
export interface SourceReader extends Pick<Session, 'context' | 'reporter'> {
  readonly fetcher: Fetcher;
  readonly options: Pick<CommonArguments, 'stateDir' | 'cacheDir'>;
  /** Of the pool: libvirt's word for its type. */
  readonly poolType: string;
  /** Where it is remembered what sources offered last; `undefined`: the pool cannot be reached. */
  readonly memoryDir: string | undefined;
}

/** Reads sources for the pool of a session. */
export function readerOf(
  { context, reporter, pool, paths }: Session,
  options: SourceReader['options'],
  fetcher: Fetcher,
): SourceReader {
  return { context, reporter, fetcher, options, poolType: pool.type, memoryDir: paths.sources };
}
