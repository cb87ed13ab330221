import { expect } from 'chai';
import { Fifo } from '../../../src/libvirt/fifo.ts';

describe('Fifo', () => {
  it('gives back values in the order they came, also after it was empty', () => {
    const queue = new Fifo<number>();
    queue.push(1);
    queue.push(2);
    const first = [queue.shift(), queue.shift(), queue.shift()];
    queue.push(3);
    expect([...first, queue.shift(), queue.shift()]).to.deep.equal([1, 2, undefined, 3, undefined]);
  });
});
