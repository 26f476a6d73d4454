'use strict';
// Loads the addon: the one beside package.json, which a build of the checkout puts there, or else the one of a package for
// this platform, which npm installs with the released package.

function beside() {
  try {
    return require('../hook-agent.node');
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw new Error('the addon of hook-agent was built for another system: run `node build/install.js` in its folder', { cause: error });
  }
}

// Each name is written out inside `try`, so that bundlers find the installed package and ignore the others. The platform's
// C library is not asked for, because an old npm installs the packages for both: the one for the other does not load.
function ofPlatform() {
  const platform = `${process.platform}-${process.arch}`;
  const causes = [];
  try {
    if (platform === 'linux-x64') return require('hook-agent-linux-x64-gnu');
    if (platform === 'linux-arm64') return require('hook-agent-linux-arm64-gnu');
  } catch (error) {
    causes.push(error);
  }
  try {
    if (platform === 'linux-x64') return require('hook-agent-linux-x64-musl');
    if (platform === 'linux-arm64') return require('hook-agent-linux-arm64-musl');
  } catch (error) {
    causes.push(error);
  }
  const advice = causes.length > 0
    ? 'install hook-agent again, with its optional dependencies'
    : 'build it from a checkout of the repository, by `npm pack`';
  throw new Error(`there is no addon of hook-agent for ${platform}: ${advice}`, { cause: new AggregateError(causes) });
}

module.exports = beside() ?? ofPlatform();
