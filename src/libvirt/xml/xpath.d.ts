import type { XmlNode } from './node.ts';

// The package's own declarations lack `parse` and pull the browser's globals into every file of the program.

export interface Expression {
  evaluateNodeSet(options: EvaluationOptions): { toUnsortedArray(): XmlNode[] };
}

export interface EvaluationOptions {
  readonly node: XmlNode;
  /** Lets a name without prefix match an element of any default namespace. */
  readonly allowAnyNamespaceForNoPrefix?: boolean;
}

export function parse(expression: string): Expression;
