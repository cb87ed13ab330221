import type { Fetcher } from '../core/ports.ts';
import { type Finding, ok, problem } from '../core/finding.ts';
import { resolveItemUrl, type SourceLocation } from '../simplestreams/source.ts';
import { publicAddress } from '../transfer/address.ts';
import { proxyFor, readProxySettings } from '../transfer/proxy.ts';

/** How sources are reached. */
export interface Way {
  readonly fetcher: Fetcher;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Whether the first document of a source can be had. @throws SourceError when the source does not answer. */
export async function checkSource(
  { base, path, display }: SourceLocation,
  { fetcher, env, signal }: Way,
): Promise<readonly Finding[]> {
  const url = resolveItemUrl(base, path);
  const proxy = base.protocol === 'file:' ? undefined : proxyFor(url, readProxySettings(env));
  const way = proxy === undefined ? '' : ` through the proxy ${publicAddress(proxy)}`;
  const response = await fetcher.fetch(url, { signal });
  response.discard();
  if (response.status === 200) return [ok(`${display} answers${way}`)];
  const message = `${display} answers with status ${response.status}${way} for '${path}'`;
  return [problem(message, 'check the address of the source')];
}
