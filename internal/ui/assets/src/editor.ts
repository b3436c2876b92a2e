// What the editors share: how they look. They are CodeMirror in a shadow root,
// where its styles are adopted style sheets and so need no exception in the policy.
import { HighlightStyle } from "@codemirror/language";
import { StateEffect } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export const theme = EditorView.theme({
  "&": { fontSize: "13px", color: "var(--text)", background: "var(--surface)", border: "1px solid var(--edge)", borderRadius: "var(--radius)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px", borderColor: "var(--accent)" },
  "&[data-bad]": { borderColor: "var(--bad-mark)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", minHeight: "var(--editor-height, 0)", maxHeight: "40vh" },
  ".cm-content": { padding: "5px 0", minHeight: "calc(var(--control) - 2px)", boxSizing: "border-box", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 10px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 24%, transparent)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--accent-soft)", outline: "1px solid color-mix(in srgb, var(--accent) 40%, transparent)" },
  "&.cm-focused .cm-nonmatchingBracket": { background: "var(--bad-soft)" },
  ".cm-tooltip": { border: "1px solid var(--line)", borderRadius: "var(--radius)", background: "var(--raised)", color: "var(--text)", boxShadow: "var(--shadow-pop)", fontFamily: "var(--font)", zIndex: "20" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "13px", maxHeight: "280px", maxWidth: "min(640px, 92vw)", padding: "4px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", lineHeight: "20px", borderRadius: "4px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent-fill)", color: "var(--accent-ink)" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionDetail": { marginLeft: "12px", fontStyle: "normal", fontFamily: "var(--font)", fontSize: "12px", color: "var(--muted)" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-tooltip.cm-completionInfo": { padding: "8px 10px", maxWidth: "min(360px, 80vw)", fontSize: "13px", lineHeight: "18px" },
  ".cm-diagnostic": { padding: "6px 10px", borderLeft: "3px solid var(--bad-mark)", fontSize: "13px", maxWidth: "min(560px, 90vw)", whiteSpace: "pre-wrap" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn-mark)" },
  ".cm-lintRange-error": { background: "none", textDecoration: "underline wavy var(--bad-mark)", textDecorationSkipInk: "none", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { background: "none", textDecoration: "underline wavy var(--warn-mark)", textUnderlineOffset: "3px" },
  ".cm-lintPoint::after": { borderBottomColor: "var(--bad-mark)" },
});

export const colors = HighlightStyle.define([
  { tag: tags.number, color: "var(--good)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: tags.function(tags.variableName), color: "var(--accent)" },
  { tag: [tags.labelName, tags.propertyName], color: "var(--warn)" },
  { tag: tags.operator, color: "var(--muted)" },
  { tag: tags.modifier, color: "var(--accent)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

// again asks for another check of the same text.
export const again = StateEffect.define<null>();

let shared: CSSStyleSheet | null = null;
export function sheet(): CSSStyleSheet {
  if (!shared) {
    shared = new CSSStyleSheet();
    shared.replaceSync(":host { display: block; min-width: 0; } #said { margin: 4px 0 0; color: var(--bad); font-size: 13px; line-height: 18px; white-space: pre-wrap; overflow-wrap: anywhere; } #said:empty { display: none; }");
  }
  return shared;
}
