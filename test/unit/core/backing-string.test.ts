import { expect } from 'chai';
import * as fc from 'fast-check';
import { decodeBackingString } from '../../../src/core/backing-string.ts';
import type { Reference } from '../../../src/core/reference.ts';

const path = (value: string) => ({ kind: 'path', value });
const text = (value: string) => ({ kind: 'text', value });
const network = (protocol: string, value: string) => ({ kind: 'network', protocol, value });

function decoded(name: string, directory = '/pool'): unknown[] {
  return decodeBackingString(name, directory, 'here').map(withoutEvidence);
}

function withoutEvidence(reference: Reference): unknown {
  const { evidence, ...bare } = reference;
  expect(evidence).to.equal('here');
  return bare;
}

const ROWS: readonly (readonly [string, readonly unknown[]])[] = [
  ['/abs', [path('/abs')]],
  ['/abs//x', [path('/abs//x')]],
  ['/abs/a:b', [path('/abs/a:b')]],
  ['//two', [path('//two')]],
  ['rel', [path('/pool/rel')]],
  ['./rel', [path('/pool/./rel')]],
  ['../p/rel', [path('/pool/../p/rel')]],
  ['./a:b.img', [path('/pool/./a:b.img')]],
  ['sub/in.qcow2', [path('/pool/sub/in.qcow2')]],
  ['json:{"file":{"driver":"file","filename":"/p"}}', [path('/p')]],
  ['json:{"file.driver":"file","file.filename":"/p"}', [path('/p')]],
  ['json:{"driver":"file","filename":"/p"}', [path('/p')]],
  ['json:{"driver":"raw","file":{"driver":"file","filename":"/p"},"offset":512,"size":1024}', [path('/p')]],
  ['json:{"driver":"qcow2","file":{"driver":"file","filename":"/p"}}', [path('/p')]],
  ['json:{"driver":"qcow2","file.driver":"file","file.filename":"/p","backing":null}', [path('/p')]],
  ['json:{"driver":"qcow2","file":{"filename":"/p"},"data-file":{"filename":"/d"}}', [path('/p'), path('/d')]],
  ['json:{"driver":"quorum","children":[{"filename":"/a"},{"file":{"filename":"/b"}}]}', [path('/a'), path('/b')]],
  ['json:{"driver":"quorum","children.0.filename":"/a","children.1.filename":"/b"}', [path('/a'), path('/b')]],
  ['json:{"driver":"blkdebug","config":"/c","image":{"driver":"file","filename":"/p"}}', [path('/c'), path('/p')]],
  ['json:{"driver":"vvfat","dir":"/d"}', [{ kind: 'dir', value: '/d', isFat: true }]],
  ['json:{"driver":"file","filename":"rel.img"}', [text('rel.img')]],
  ["json:{'driver':'file','filename':'/it\\'s \"p\"'}", [path('/it\'s "p"')]],
  ['json:{"driver":"file","filename":"\\u002fp"}', [path('/p')]],
  ['json:{"driver":"rbd","pool":"p","image":"i","conf":"/etc/c"}', [network('rbd', 'p/i'), text('p/i')]],
  ['json:{"driver":"rbd","pool":"p","namespace":"n","image":"i"}', [network('rbd', 'p/n/i'), text('p/n/i')]],
  ['json:{"driver":"nbd","host":"h","port":"1","export":"e"}', [network('nbd', 'e'), text('e')]],
  ['json:{"driver":"nbd","server":{"type":"unix","path":"/s"},"export":""}', [network('nbd', '')]],
  ['json:{"driver":"quorum","vote-threshold":2,"children":[{"filename":"/a"}]}', [path('/a')]],
  ['json:{"driver":"https","url":"https://u:p@h/d/x"}', [network('https', 'd/x'), text('https://h/d/x')]],
  ['json:{"driver":"ssh","path":"/d/x","user":"u"}', [network('ssh', 'd/x'), text('d/x')]],
  ['json:{"driver":"nfs","path":"/d/x","server":{"host":"h"}}', [network('nfs', 'd/x'), text('d/x')]],
  ['json:{"driver":"gluster","volume":"v","path":"d/x"}', [network('gluster', 'v/d/x'), text('v/d/x')]],
  ['json:{"driver":"iscsi","portal":"h","target":"iqn.a","lun":3}', [network('iscsi', 'iqn.a/3'), text('iqn.a/3')]],
  ['json:{"driver":"iscsi","portal":"h","target":"iqn.a"}', [network('iscsi', 'iqn.a/0'), text('iqn.a/0')]],
  ['json:{"driver":"sheepdog","vdi":"v"}', [network('sheepdog', 'v'), text('v')]],
  ['json:{"file":{"filename":"json:{\\"filename\\":\\"/p\\"}"}}', [path('/p')]],
  ['json:{"driver":"qcow2","file":"node"}', [text('json:{"driver":"qcow2","file":"node"}')]],
  ['json:{"driver":"null-co"}', [text('json:{"driver":"null-co"}')]],
  ['json:"/p"', [text('json:"/p"')]],
  ['json:{"/p"', [text('json:{"/p"')]],
  ['file:/p', [path('/p')]],
  ['file:///p', [path('/p')]],
  ['file:rel', [text('file:rel')]],
  ['file://host/p', [path('/host/p'), text('file://host/p')]],
  ['host_device:/dev/x', [path('/dev/x')]],
  ['blkdebug::/p', [path('/p')]],
  ['blkdebug:/c:file:/p', [path('/c'), path('/p')]],
  ['blkverify:/raw:/p', [path('/raw'), path('/p')]],
  ['blkverify:lost', [text('lost')]],
  ['fat:/dir', [{ kind: 'dir', value: '/dir', isFat: true }]],
  ['fat:floppy:rw:/dir', [{ kind: 'dir', value: '/dir', isFat: true }]],
  ['fat:rel', [text('rel')]],
  ['nbd:h:10809:exportname=e', [network('nbd', 'e'), text('nbd:h:10809:exportname=e')]],
  ['nbd:unix:/s', [network('nbd', ''), text('nbd:unix:/s')]],
  ['nbd://h/e', [network('nbd', 'e'), text('nbd://h/e')]],
  ['nbd+unix:///e?socket=/s', [network('nbd', 'e'), text('nbd+unix:///e?socket=/s')]],
  ['http://h/d/x%20y', [network('http', 'd/x y'), text('http://h/d/x%20y')]],
  ['http://h/100%', [network('http', '100%'), text('http://h/100%')]],
  ['https://user:secret@h/x?token=t', [network('https', 'x'), text('https://h/x')]],
  ['gluster+tcp://h:1/v/x', [network('gluster', 'v/x'), text('gluster+tcp://h:1/v/x')]],
  ['iscsi://u%pw@h/iqn.a/1', [network('iscsi', 'iqn.a/1'), text('iscsi://h/iqn.a/1')]],
  ['ssh://u@h/p/x', [network('ssh', 'p/x'), text('ssh://h/p/x')]],
  ['nfs://h/p/x', [network('nfs', 'p/x'), text('nfs://h/p/x')]],
  ['sheepdog:v', [network('sheepdog', 'v'), text('sheepdog:v')]],
  ['sheepdog:h:7000:v:s', [network('sheepdog', 'v'), text('sheepdog:h:7000:v:s')]],
  ['sheepdog+tcp://h/v#s', [network('sheepdog', 'v'), text('sheepdog+tcp://h/v#s')]],
  ['rbd:p/i', [network('rbd', 'p/i'), text('rbd:p/i')]],
  ['rbd:p/i@s:id=me:key=AQ==:conf=/c', [network('rbd', 'p/i'), text('rbd:p/i@s:id=me:conf=/c')]],
  ['rbd:p/i\\:1:id=me', [network('rbd', 'p/i:1'), text('rbd:p/i\\:1:id=me')]],
  ['a:b.img', [path('/pool/a:b.img'), text('a:b.img')]],
  ['', []],
];

describe('decodeBackingString', () => {
  for (const [name, expected] of ROWS) {
    it(`decodes '${name}'`, () => expect(decoded(name)).to.deep.equal(expected));
  }

  it('leaves a relative name as text when the directory of the overlay is not known', () => {
    expect(decodeBackingString('rel', undefined, 'here')).to.deep.equal([{ ...text('rel'), evidence: 'here' }]);
  });

  it('joins to a directory that ends in a slash without doubling it', () => {
    expect(decoded('rel', '/')).to.deep.equal([path('/rel')]);
  });

  it('takes names that are nested too deep, or too long, as text', () => {
    const deep = `json:${'['.repeat(100)}"/p"${']'.repeat(100)}`;
    const filters = `${'blkdebug::'.repeat(30)}/p`;
    const long = `json:{"filename":"${'/p'.repeat(8192)}"}`;
    expect(decoded(deep)).to.deep.equal([text(deep)]);
    expect(decoded(filters)).to.deep.equal([text(`${'blkdebug::'.repeat(13)}/p`)]);
    expect(decoded(long)).to.deep.equal([text(long)]);
  });

  it('never returns nothing for a name that is there', () => {
    const prefix = fc.constantFrom(
      '',
      'json:',
      'json:{"',
      'nbd:',
      'rbd:',
      'fat:',
      'blkdebug:',
      'file:',
      'http://',
      '/',
    );
    fc.assert(
      fc.property(prefix, fc.string({ unit: 'binary', minLength: 1 }), (start, rest) => {
        expect(decodeBackingString(start + rest, '/pool', 'here')).not.to.have.lengthOf(0);
      }),
    );
  });
});
