// Loaded before the program, by Pulumi.yaml and by the commands. Plain JavaScript, so that a Node too old to
// strip types can still read it and say so in one line.
import module from "node:module";

if (!process.features.typescript) {
  console.error(
    `esteira: Node ${process.versions.node} cannot run TypeScript; use Node 24 or later, ` +
      `or run through make, which brings its own: make preview STACK=dev`,
  );
  process.exit(1);
}
// V8's compiled code is kept between runs: a third of the start-up.
module.enableCompileCache();
// The SDK keeps a stack trace with every resource and promise, and translates each through source maps. Our code needs
// none, Node strips its types in place; without them a preview of a hundred functions takes a quarter less.
module.registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "source-map-support/register" ? { url: "node:module", shortCircuit: true } : next(specifier, context),
});
