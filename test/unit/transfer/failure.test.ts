import { expect } from 'chai';

import { InterruptedError, SourceError, TrustError } from '../../../src/errors.ts';
import { fetchFailure, isTransientFailure } from '../../../src/transfer/failure.ts';

function failure(code: string): Error {
  return Object.assign(new Error('text that may change'), { code });
}

describe('failures of a request', () => {
  const url = new URL('https://ann:secret@h/a?key=secret');

  for (const [code, reason, isTransient] of [
    ['ENOTFOUND', 'the host name is not known', true],
    ['EAI_AGAIN', 'the host name is not known', true],
    ['ECONNREFUSED', 'the connection was refused', true],
    ['ECONNRESET', 'the connection broke', true],
    ['UND_ERR_SOCKET', 'the connection broke', true],
    ['ENETUNREACH', 'the server cannot be reached', true],
    ['UND_ERR_CONNECT_TIMEOUT', 'the server did not answer in time', true],
    ['UND_ERR_HEADERS_TIMEOUT', 'the server did not answer in time', true],
    ['UND_ERR_BODY_TIMEOUT', 'no more data came', true],
    ['CERT_HAS_EXPIRED', 'the certificate is not accepted', false],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'the certificate is not accepted', false],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the certificate is not accepted', false],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'the certificate is not accepted', false],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'no secure connection can be made', false],
    ['HPE_INVALID_CONSTANT', 'the answer is not HTTP', false],
    ['Z_DATA_ERROR', 'the gzip data in the answer is damaged', false],
    ['UND_ERR_INVALID_ARG', 'it failed for an unknown reason', false],
    ['EIO', 'the data cannot be read', false],
    ['WHAT_IS_THIS', 'it failed for an unknown reason', false],
  ] as const) {
    it(`explain ${code}, and ${isTransient ? 'are tried again' : 'are final'}`, () => {
      const cause = failure(code);
      const error = fetchFailure(cause, { url });
      if (!(error instanceof SourceError)) throw error;
      expect({
        message: error.message,
        url: error.url,
        cause: error.cause,
        hasHint: error.hint !== undefined,
      }).to.deep.equal({
        message: `cannot fetch https://h/a?...: ${reason} (${code})`,
        url: 'https://h/a?...',
        cause,
        hasHint: true,
      });
      expect(isTransientFailure(cause)).to.equal(isTransient);
    });
  }

  it('find the code in the cause', () => {
    const error = fetchFailure(new Error('outer', { cause: failure('ECONNRESET') }), { url });
    expect(error.message).to.equal('cannot fetch https://h/a?...: the connection broke (ECONNRESET)');
  });

  it('name the proxy by its host alone', () => {
    const proxy = new URL('http://ann:secret@proxy:3128/');
    const error = fetchFailure(failure('ECONNREFUSED'), { url, proxy });
    expect(error.message).to.equal(
      'cannot fetch https://h/a?... through the proxy proxy:3128: the connection was refused (ECONNREFUSED)',
    );
  });

  for (const code of ['UND_ERR_ABORTED', 'UND_ERR_INVALID_ARG']) {
    it(`explain ${code} by the proxy, where there is one`, () => {
      const error = fetchFailure(failure(code), { url, proxy: new URL('http://proxy/') });
      expect(error.message).to.equal(
        `cannot fetch https://h/a?... through the proxy proxy: the proxy refused (${code})`,
      );
    });
  }

  it('pass on what already is an error for the user', () => {
    const refusal = new TrustError('refused');
    expect(fetchFailure(refusal, { url })).to.equal(refusal);
  });

  it("are the signal's own reason once it is aborted, whatever else went wrong", () => {
    const reason = new InterruptedError('interrupted by SIGTERM', { exitStatus: 143 });
    expect(fetchFailure(failure('EIO'), { url, signal: AbortSignal.abort(reason) })).to.equal(reason);
    const plain = fetchFailure(failure('EIO'), { url, signal: AbortSignal.abort() });
    expect([plain.exitStatus, plain.message]).to.deep.equal([130, 'cannot fetch https://h/a?...: interrupted']);
  });
});
