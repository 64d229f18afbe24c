#!/bin/sh
# Install the checkout in the current directory into this system: the extension by PGXS, the client by pip when it changed.
set -eu
make -s install BUILD=/tmp/hartonomous-build
installed=/usr/local/share/hartonomous/client.sha256
content=$(find extension.control client -type f -not -path '*/__pycache__/*' | sort | xargs cat | sha256sum)
if [ "$content" != "$(cat $installed 2>/dev/null || :)" ]; then
    rm -rf /tmp/client-source && mkdir /tmp/client-source
    cp -r client extension.control /tmp/client-source/
    pip install --quiet --break-system-packages --root-user-action=ignore --no-cache-dir \
        --no-deps --no-index --no-build-isolation --force-reinstall /tmp/client-source/client
    echo "$content" >$installed
fi
