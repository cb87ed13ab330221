import { expect } from 'chai';
import * as fc from 'fast-check';
import { volumeTexts } from '../../../../src/libvirt/volume-xml.ts';
import { readDocument, readFully } from '../../../../src/libvirt/xml/references.ts';
import { readVolumeForm } from '../../../../src/libvirt/xml/volume-form.ts';
import { mutated } from '../../../fuzz/mutation.ts';
import { samplesOf } from './samples.ts';

const SAMPLES = samplesOf('volume');

/** As libvirt 9.0 writes it, with all that it may have. */
const WHOLE = `<volume type='file'>
  <name>overlay 1.qcow2</name>
  <key>/srv/images/overlay 1.qcow2</key>
  <capacity unit='bytes'>1073741824</capacity>
  <allocation unit='bytes'>4096</allocation>
  <physical unit='bytes'>196624</physical>
  <target>
    <path>/srv/images/overlay 1.qcow2</path>
    <format type='qcow2'/>
    <permissions>
      <mode>0644</mode>
      <owner>64055</owner>
      <group>108</group>
      <label>system_u:object_r:virt_image_t:s0</label>
    </permissions>
    <timestamps>
      <atime>1795654009.457659183</atime>
      <mtime>1795654008.149659154</mtime>
      <ctime>1795654008</ctime>
      <btime>0</btime>
    </timestamps>
    <compat>1.1</compat>
    <clusterSize unit='B'>65536</clusterSize>
    <features>
      <lazy_refcounts/>
    </features>
  </target>
  <backingStore>
    <path>/srv/images/base.qcow2</path>
    <format type='qcow2'/>
    <permissions>
      <mode>0600</mode>
      <owner>0</owner>
      <group>1</group>
    </permissions>
    <timestamps>
      <mtime>5.1</mtime>
    </timestamps>
  </backingStore>
</volume>`;

const VALUES = [
  '/ // /x x 0644 1.5 json:{} file:/x fat:/x nbd:x \' " \u00e4 &amp; & &#10; \0 \uFFFD ]]> --> <!----> <x/> <path>/y</path>'.split(
    ' ',
  ),
  ['', ' ', '\t', '9'.repeat(30)],
].flat();

/** A document with some of its texts and values replaced, and some of its lines left out or told twice. */
const VARIED = fc
  .tuple(
    fc.constantFrom(WHOLE, ...SAMPLES),
    fc.array(fc.tuple(fc.nat(40), fc.constantFrom(...VALUES)), { maxLength: 3 }),
    fc.array(fc.tuple(fc.nat(40), fc.constantFrom(0, 2)), { maxLength: 2 }),
  )
  .map(([xml, values, lines]) => {
    const rows = xml.split('\n').map((row, index) => {
      const value = values.find(([at]) => at === index)?.[1];
      return value === undefined ? row : row.replace(/(?<=>)[^<]+(?=<)|(?<=')[^']*(?=')/, () => value);
    });
    return rows
      .flatMap((row, index) => Array<string>(lines.find(([at]) => at === index)?.[1] ?? 1).fill(row))
      .join('\n');
  });

describe('readVolumeForm', () => {
  it('takes what libvirt writes for files', () => {
    expect(readVolumeForm(WHOLE)).to.deep.equal({
      name: 'overlay 1.qcow2',
      type: 'file',
      path: '/srv/images/overlay 1.qcow2',
      format: 'qcow2',
      capacity: '1073741824',
      allocation: '4096',
      physical: '196624',
      modifiedAt: '1795654008.149659154',
      changedAt: '1795654008',
      mode: '0644',
      owner: '64055',
      group: '108',
      backingPath: '/srv/images/base.qcow2',
    });
    const plain = SAMPLES.filter((xml) => xml.includes('/absolute.qcow2<') || xml.includes('/plain.img<'));
    expect(plain.map((xml) => readVolumeForm(xml)?.path)).to.deep.equal([
      '/var/lib/libvirt/images/absolute.qcow2',
      '/var/lib/libvirt/images/plain.img',
    ]);
  });

  it('takes no document whose backing store is more than an absolute path', () => {
    for (const path of ['base.qcow2', 'json:{"file":"x"}', 'nbd:unix:/s', '', '/a&amp;b', '/a<x/>b', '/ä']) {
      expect(readVolumeForm(WHOLE.replace('/srv/images/base.qcow2', path)), path).to.equal(undefined);
    }
  });

  it('says what parsers say, or nothing', () => {
    for (const xml of [WHOLE, ...SAMPLES]) assertSame(xml);
    const numRuns = Number(process.env['VOLUME_FORM_RUNS'] ?? 2000);
    const taken = { count: 0 };
    const check = (xml: string): void => void (assertSame(xml) && (taken.count += 1));
    fc.assert(fc.property(VARIED, check), { numRuns });
    fc.assert(
      fc.property(mutated({ seeds: [WHOLE, ...SAMPLES], tokens: VALUES }), (bytes) => check(bytes.toString())),
      { numRuns },
    );
    expect(taken.count).to.be.greaterThan(numRuns / 20);
  });

  function assertSame(xml: string): boolean {
    const form = readVolumeForm(xml);
    if (form === undefined) return false;
    const { name, ...texts } = form;
    expect(texts).to.deep.equal(volumeTexts(xml));
    expect(readDocument(xml)).to.deep.equal(readFully(xml));
    expect(readDocument(xml).found.name).to.equal(name);
    return true;
  }
});
