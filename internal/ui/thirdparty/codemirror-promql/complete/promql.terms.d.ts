import { Completion } from '@codemirror/autocomplete';
export declare const durationTerms: {
    label: string;
}[];
export declare const durationExprTerms: Completion[];
export declare const durationExprOperatorTerms: {
    label: string;
}[];
export declare const matchOpTerms: {
    label: string;
}[];
export declare const binOpTerms: {
    label: string;
}[];
export declare const binOpModifierTerms: {
    label: string;
    info: string;
    type: string;
}[];
export declare const atModifierTerms: {
    label: string;
    info: string;
    type: string;
}[];
export declare const functionIdentifierTerms: ({
    label: string;
    detail: string;
    info: string;
    type: string;
    boost?: undefined;
} | {
    label: string;
    detail: string;
    info: string;
    type: string;
    boost: number;
})[];
export declare const aggregateOpTerms: {
    label: string;
    detail: string;
    info: string;
    type: string;
}[];
export declare const aggregateOpModifierTerms: {
    label: string;
    info: string;
    type: string;
}[];
export declare const numberTerms: {
    label: string;
    info: string;
    type: string;
}[];
export declare const snippets: readonly Completion[];
