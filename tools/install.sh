#!/bin/sh
# Install the checkout in the current directory into this system: the extension by PGXS, the client by pip.
set -eu
make -s install BUILD=/tmp/hartonomous-build
if ! cmp -s client/pyproject.toml /usr/local/share/hartonomous/client.toml; then
    rm -rf /tmp/client && cp -r client /tmp/client
    pip install --quiet --break-system-packages --root-user-action=ignore --no-cache-dir \
        --no-deps --no-index --no-build-isolation --force-reinstall /tmp/client
    cp client/pyproject.toml /usr/local/share/hartonomous/client.toml
fi
