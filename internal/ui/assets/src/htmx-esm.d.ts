declare module "*/htmx.esm.js" {
  const htmx: {
    registerExtension(name: string, extension: object): void;
    ajax(verb: string, path: string, options: object): Promise<void>;
  };
  export default htmx;
}
