import { expect } from 'chai';
import { findRollbacks } from '../../../src/core/rollback.ts';

const INDEX = 'https://images.test/streams/v1/index.sjson';
const PRODUCTS = 'https://images.test/streams/v1/products.sjson';
const ACCEPTED = new Map([
  [INDEX, 2000],
  [PRODUCTS, 1000],
]);

describe('findRollbacks', () => {
  it('accepts documents that are new, newer or as old as before', () => {
    const offered = [
      { url: INDEX, updatedAtMs: 2001 },
      { url: PRODUCTS, updatedAtMs: 1000 },
      { url: 'https://images.test/streams/v1/more.sjson', updatedAtMs: 1 },
    ];
    expect(findRollbacks(offered, ACCEPTED)).to.deep.equal([]);
  });

  it('finds every document that went back in time', () => {
    const offered = [
      { url: INDEX, updatedAtMs: 1999 },
      { url: PRODUCTS, updatedAtMs: 0 },
    ];
    expect(findRollbacks(offered, ACCEPTED)).to.deep.equal([
      { url: INDEX, acceptedAtMs: 2000, offeredAtMs: 1999 },
      { url: PRODUCTS, acceptedAtMs: 1000, offeredAtMs: 0 },
    ]);
  });

  it('takes a date that is gone for a step back', () => {
    expect(findRollbacks([{ url: INDEX, updatedAtMs: undefined }], ACCEPTED)).to.deep.equal([
      { url: INDEX, acceptedAtMs: 2000, offeredAtMs: undefined },
    ]);
  });

  it('has no objection to a document that never had a date', () => {
    expect(findRollbacks([{ url: INDEX, updatedAtMs: undefined }], new Map())).to.deep.equal([]);
  });
});
