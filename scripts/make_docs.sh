#!/bin/sh
# make_docs.sh ZENSICAL: the documentation as a site, build/site. In build/pages the pages lie as they do in the repository, so
# that a relative link leads to the same page on GitHub and in the site.
set -eu
rm -rf build/pages build/site
mkdir -p build/pages
cp --parents -R README.md CONTRIBUTING.md CHANGELOG.md docs examples/*.ipynb keras_model/networks/gtzan_head.md build/pages
"$1" build --strict --clean
