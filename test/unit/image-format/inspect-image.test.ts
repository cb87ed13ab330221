import { expect } from 'chai';
import { FailureError } from '../../../src/errors.ts';
import { inspectImage } from '../../../src/image-format/inspect-image.ts';
import {
  DESCRIPTOR,
  found,
  header,
  inspectBytes,
  NO_PARENT,
  path,
  readerOf,
  savedDomain,
  text,
  withBacking,
} from './image-bytes.ts';
import { qcow2Head } from './qcow2-image.ts';

describe('inspectImage', () => {
  it('takes everything without a known magic as raw, which needs nothing', async () => {
    for (const bytes of ['', 'QFI', '#!/bin/sh\nversion=1x\n'.slice(0, 10), Buffer.alloc(1000)]) {
      expect(await inspectBytes(bytes)).to.deep.equal(found('raw', bytes.length === 0 ? { isEmpty: true } : {}));
    }
  });

  it('finds the backing file and the data file of a qcow2 image', async () => {
    const head = qcow2Head({ ...withBacking('base.img'), features: 4n, extensions: [[0x44415441, 'data.raw']] });
    const references = [
      path('/pool/base.img', 'qcow2 backing file name at offset 512'),
      path('/pool/data.raw', 'qcow2 data file name at offset 120'),
      text('data.raw', 'qcow2 data file name at offset 120'),
    ];
    const statedFormats = new Map([
      ['/pool/data.raw', 'raw'],
      ['data.raw', 'raw'],
    ]);
    expect(await inspectBytes(head)).to.deep.equal(found('qcow2', { references, statedFormats }));
  });

  it('finds a backing file that is named beyond the first 64 KiB', async () => {
    const head = qcow2Head({ clusterBits: 21, backing: { offset: 100_000n, length: 5, name: '' } });
    const image = Buffer.concat([head, Buffer.alloc(34_464), Buffer.from('/base')]);
    const references = [path('/base', 'qcow2 backing file name at offset 100000')];
    expect(await inspectBytes(image)).to.deep.equal(found('qcow2', { references }));
  });

  it('keeps a name that is not UTF-8 as a reference, but does not trust it', async () => {
    const head = qcow2Head(withBacking('/b/x'));
    head[515] = 0xff;
    const references = [path('/b/\ufffd', 'qcow2 backing file name at offset 512')];
    const undecided = "the qcow2 backing file name '/b/\ufffd' is not UTF-8";
    expect(await inspectBytes(head)).to.deep.equal(found('qcow2', { references, undecided }));
  });

  it('does not claim to know an image that begins inside the file which is named', async () => {
    const inspect = async (offset: number, driver: string): Promise<unknown> => {
      const file = { driver: 'raw', offset, file: { driver: 'file', filename: '/b' } };
      return (await inspectBytes(qcow2Head(withBacking(`json:${JSON.stringify({ driver, file })}`)))).undecided;
    };
    const undecided = 'the qcow2 backing file name leads to an image inside a file';
    expect([await inspect(512, 'qcow2'), await inspect(0, 'qcow2'), await inspect(512, 'raw')]).to.deep.equal([
      undecided,
      undefined,
      undefined,
    ]);
  });

  it('leaves a relative name as text when the image has no path', async () => {
    const reader = { ...readerOf(qcow2Head(withBacking('base.img'))), path: undefined };
    const references = [text('base.img', 'qcow2 backing file name at offset 512')];
    expect(await inspectImage(reader)).to.deep.equal(found('qcow2', { references }));
  });

  it('finds the backing file of a qcow image', async () => {
    const image = header('QFI\xfb\0\0\0\x01', 64, [
      [8, '0000000000000030'],
      [16, '00000005'],
    ]);
    image.write('/base', 48);
    const references = [path('/base', 'qcow backing file name at offset 48')];
    expect(await inspectBytes(image)).to.deep.equal(found('qcow', { references }));
  });

  it('finds the parent and every extent of a VMDK descriptor', async () => {
    const lines = [
      'parentCID=12345678',
      'ParentFileNameHint="../base.vmdk"',
      'RW 4192256 SPARSE "top-s001.vmdk"',
      'RDONLY 100 FLAT "/lun/flat.vmdk" 0',
      'NOACCESS 63 ZERO',
    ];
    const references = [
      path('/pool/top-s001.vmdk', 'VMDK descriptor, extent 1'),
      path('/lun/flat.vmdk', 'VMDK descriptor, extent 2'),
      path('/pool/../base.vmdk', 'VMDK descriptor, parentFileNameHint'),
    ];
    expect(await inspectBytes(`${DESCRIPTOR}${lines.join('\r\n')}\r\n`)).to.deep.equal(found('vmdk', { references }));
  });

  it('reads a VMDK descriptor that begins with other comments', async () => {
    const references = [path('/pool/x', 'VMDK descriptor, extent 1')];
    const descriptor = `# made by hand\n\nversion=1\nRW 1 FLAT "x"\n${NO_PARENT}`;
    expect(await inspectBytes(descriptor)).to.deep.equal(found('vmdk', { references }));
  });

  it('does not trust a VMDK descriptor that is not UTF-8', async () => {
    const bytes = Buffer.from(`${DESCRIPTOR}RW 1 FLAT "\xe9"\n${NO_PARENT}`, 'latin1');
    const references = [path('/pool/\ufffd', 'VMDK descriptor, extent 1')];
    const undecided = 'the VMDK descriptor is not UTF-8';
    expect(await inspectBytes(bytes)).to.deep.equal(found('vmdk', { references, undecided }));
  });

  it('finds the parent of a VMDK descriptor where QEMU would find it, in a comment or broken over lines', async () => {
    const references = [
      path('/pool/x', 'VMDK descriptor, extent 1'),
      path('/base', 'VMDK descriptor, parentFileNameHint'),
    ];
    const descriptor = `${DESCRIPTOR}# parentFileNameHint="/base"\nRW\n1\nFLAT\n"x"\n`;
    expect(await inspectBytes(descriptor)).to.deep.equal(found('vmdk', { references }));
  });

  it('finds nothing in a VMDK extent that has no descriptor of its own', async () => {
    expect(await inspectBytes(header('KDMV', 512, []))).to.deep.equal(found('vmdk'));
    const empty = header('KDMV', 1024, [
      [28, '0100000000000000'],
      [36, '0100000000000000'],
    ]);
    expect(await inspectBytes(empty)).to.deep.equal(found('vmdk'));
  });

  it('names the parent of a differencing VPC image, but does not trust the name', async () => {
    const image = header('conectix', 2048, [
      [16, '0000000000000200'],
      [60, '00000004'],
    ]);
    Buffer.from('base.vhd', 'utf16le')
      .swap16()
      .copy(image, 512 + 64);
    const references = [text('base.vhd', 'VPC header: parent unicode name')];
    const undecided = 'a differencing VPC image names its parent in a way that cannot be followed';
    expect(await inspectBytes(image)).to.deep.equal(found('vpc', { references, undecided }));
  });

  it('takes the domain XML out of a save image of either byte order, finished or not', async () => {
    const savedDomainXml = '<domain/>';
    const expected = found('saved-domain', { savedDomainXml });
    expect(await inspectBytes(savedDomain('02000000', '0e000000', '<domain/>\0rest'))).to.deep.equal(expected);
    expect(await inspectBytes(savedDomain('00000002', '00000009', '<domain/>', 'LibvirtQemudPart'))).to.deep.equal(
      expected,
    );
  });

  it('asks qemu-img about the formats that it has no reader for', async () => {
    const asked: unknown[] = [];
    const answer = async (...question: unknown[]) => {
      asked.push(question);
      return 'base.vhdx';
    };
    const references = [path('/pool/base.vhdx', 'qemu-img info: backing-filename')];
    const inspected = await inspectImage(readerOf('vhdxfile'), { runQemuImg: answer });
    expect(inspected).to.deep.equal(found('vhdx', { references }));
    expect(asked).to.deep.equal([['/pool/top.img', 'vhdx']]);
  });

  it('passes on why qemu-img did not answer, and what to do', async () => {
    const runQemuImg = () => Promise.reject(new FailureError('qemu-img is missing', { hint: 'install it' }));
    const inspected = await inspectImage(readerOf('vhdxfile'), { runQemuImg });
    expect(inspected).to.deep.equal(found('vhdx', { undecided: 'qemu-img is missing', remedy: 'install it' }));
  });

  it('is undecided about an image that cannot be read', async () => {
    const reader = {
      path: '/x',
      read: () => Promise.reject(new FailureError("cannot read '/x'", { hint: 'be root' })),
    };
    const expected = found('unknown', { undecided: "cannot read '/x'", remedy: 'be root' });
    expect(await inspectImage(reader)).to.deep.equal(expected);
  });
});
