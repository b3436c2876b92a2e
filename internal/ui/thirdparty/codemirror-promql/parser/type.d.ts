import { SyntaxNode } from '@lezer/common';
import { ValueType } from '../types';
export declare function getType(node: SyntaxNode | null): ValueType;
