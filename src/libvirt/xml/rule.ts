/**
 * What stands at the place a rule selects.
 * - `path`, `dir`: a file or device, a directory, on the host
 * - `fat`: a directory that QEMU reads as a FAT disk, following links
 * - `volume`: an attribute with a volume's name, beside `@pool`
 * - `network`: an attribute with a name on the network protocol of `@protocol`, beside it
 * - `backing`: a backing string, as QEMU understands it (in-use.md, section 3)
 * - `argument`: free text for a hypervisor's command line
 * - `nothing`: no reference, whatever it looks like; for an element that holds for everything inside
 */
export type RuleContent = 'path' | 'dir' | 'fat' | 'volume' | 'network' | 'backing' | 'argument' | 'nothing';

/** One row of a rule table. */
export interface Rule {
  /**
   * Begins with `/`, or with `//name` and then means every element of that name. Must need every name in it outside of
   * comparisons: a document that lacks one of them is not searched.
   */
  readonly xpath: string;
  readonly content: RuleContent;
  /** The version of libvirt that brought this form; `early` where nobody knows. */
  readonly since: string;
  readonly note: string;
}
