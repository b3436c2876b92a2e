export declare enum VectorMatchCardinality {
    CardOneToOne = "one-to-one",
    CardManyToOne = "many-to-one",
    CardOneToMany = "one-to-many",
    CardManyToMany = "many-to-many"
}
export interface FillValues {
    lhs: number | null;
    rhs: number | null;
}
export interface VectorMatching {
    card: VectorMatchCardinality;
    matchingLabels: string[];
    on: boolean;
    include: string[];
    fill: FillValues;
}
