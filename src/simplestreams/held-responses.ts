import type { Fetcher, FetchRequest, FetchResponse } from '../core/ports.ts';

/** Who has asked whether something changed need not ask again for what it became. */
export interface HeldResponses extends Disposable {
  /** Holds on to every response. */
  readonly asking: Fetcher;
  /** Gives the response that is held for the same request, once; asks where there is none. */
  readonly taking: Fetcher;
}

/** Two views of a fetcher that share responses. Those that nobody came for are given up when it is disposed of. */
export function holdResponses(fetcher: Fetcher): HeldResponses {
  const held = new Map<string, FetchResponse>();
  return {
    asking: {
      fetch: async (url, request) => {
        const response = await fetcher.fetch(url, request);
        held.set(keyOf(url, request), response);
        return response;
      },
    },
    taking: {
      fetch: async (url, request) => {
        const key = keyOf(url, request);
        const response = held.get(key) ?? (await fetcher.fetch(url, request));
        held.delete(key);
        return response;
      },
    },
    [Symbol.dispose]: () => {
      for (const response of held.values()) response.discard();
    },
  };
}

function keyOf({ href }: URL, { headers = {} }: FetchRequest): string {
  return JSON.stringify([href, Object.entries(headers)]);
}
