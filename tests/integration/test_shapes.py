"""Real files from Debian packages: bytes come back, shapes and samples are what an independent reader sees."""

import io
import re
import wave

import hartonomous
import media
import numpy as np
import psycopg
import pytest
from hartonomous import errors
from PIL import Image


def run(connection, query, *parameters):
    return connection.execute(query, parameters).fetchall()


def facts(connection, artifact):
    return run(connection, "select semantics from hartonomous.artifact where artifact_id = %s", artifact)[0][0]


@pytest.mark.parametrize("name", ["cam1.jpg", "grace_hopper.jpg", "logo2.png"])
def test_a_real_image(client, connection, name):
    content = media.sample(name)
    artifact = client.ingest(content, "image", source_uri=name)
    assert client.content(artifact) == content
    picture = Image.open(io.BytesIO(content))
    assert facts(connection, artifact)["image"] == {
        "format": picture.format.lower(), "width": picture.width, "height": picture.height, "mode": picture.mode,
    }  # fmt: skip
    # the tiles cover the image, and the one under a point is the mean of its pixels
    area = "select st_area(st_union(geom)), sum(st_area(geom)) from hartonomous.artifact_shapes(%s, 'tile')"
    assert run(connection, area, artifact) == [(picture.width * picture.height,) * 2]
    under = client.artifact_shapes(artifact, within="POINT(300.5 100.5)")
    tile = np.asarray(picture)[:128, 256:384].reshape(-1, len(picture.getbands())).astype(float)
    assert [shape.properties for shape in under] == [
        {"mean": tile.mean(0).round(2).tolist(), "spread": tile.std(0).round(2).tolist()}
    ]


def test_pixels_of_a_real_image(client, connection):
    content = media.sample("img1.jpg")
    artifact = client.ingest(content, "image")
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    got = client.image_pixels(artifact, "POLYGON((100 50, 103.2 50, 103.2 52, 100 50))")
    expected = [(x, y, pixels[y, x].tolist()) for y in (50, 51) for x in (100, 101, 102, 103)]
    assert [(pixel.x, pixel.y, pixel.channels) for pixel in got] == expected
    # what PostGIS finds under a disk
    disk = "select sum(channels[1]) from hartonomous.image_pixels(%s) where st_dwithin(geom, st_point(200, 200), 10)"
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    assert run(connection, disk, artifact)[0][0] == pixels[..., 0][(x - 200) ** 2 + (y - 200) ** 2 <= 100].sum()
    assert client.image_pixels(artifact, "POINT EMPTY") == client.image_pixels(artifact, "POINT(-5 -5)") == []


def test_pixels_of_16_bits_and_a_palette(client):
    deep = np.arange(24, dtype=np.uint16).reshape(2, 4, 3) * 2700
    assert [pixel.channels for pixel in client.image_pixels(client.ingest(media.png(deep), "image"))] == (
        np.asarray(Image.open(io.BytesIO(media.png(deep)))).reshape(-1, 3).tolist()
    )
    file = io.BytesIO()
    Image.fromarray(media.random_png(5, 6)[1]).convert("P").save(file, "GIF")
    got = client.image_pixels(client.ingest(file.getvalue(), "image"))
    assert [pixel.channels for pixel in got] == (
        np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3).tolist()
    )


def test_a_box_of_too_many_pixels(client):
    artifact = client.ingest(media.png(np.zeros((1025, 1024, 3), np.uint8)), "image")
    with pytest.raises(errors.Error, match="1049600 pixels, expected at most 1048576") as raised:
        client.image_pixels(artifact)
    assert raised.value.sqlstate == "22023"
    assert len(client.image_pixels(artifact, "LINESTRING(0 0, 1024 1)")) == 1024


def test_a_real_sound(client, connection):
    content = media.sample("Front_Center.wav")
    artifact = client.ingest(content, "audio")
    assert client.content(artifact) == content
    with wave.open(io.BytesIO(content)) as reader:
        rate, frames = reader.getframerate(), reader.getnframes()
        samples = np.frombuffer(reader.readframes(frames), "<i2") / 32768
    known = facts(connection, artifact)["audio"]
    assert (known["sample_rate"], known["channels"], known["frames"]) == (rate, 1, frames)
    view = "select time, amplitude, st_m(geom) from hartonomous.audio_sample where artifact_id = %s order by time"
    rows = np.array(run(connection, view, artifact))
    np.testing.assert_array_equal(rows, np.column_stack([np.arange(frames) / rate, samples, np.arange(frames)]))
    # loud moments by the envelope, found by PostGIS
    [envelope] = client.artifact_shapes(artifact, "envelope")
    loud = """select st_xmin(d.geom), st_xmax(d.geom) from hartonomous.artifact_shapes(%s, 'envelope') as s
              cross join lateral st_dump(st_intersection(st_force2d(s.geom), st_makeenvelope(0, 0.2, 10, 1))) as d"""
    moments = run(connection, loud, artifact)
    step = -(-frames // 32)
    peaks = [np.abs(samples[at : at + step]).max() for at in range(0, frames, step)]
    assert moments and max(peaks) > 0.2
    for at, peak in enumerate(peaks):
        found = any(low <= at * step / rate + 1e-9 and at * step / rate - 1e-9 <= high for low, high in moments)
        assert found == (peak >= 0.2)


def test_a_window_of_a_real_sound(client):
    """Ogg, which is decoded from the page before."""
    content = media.sample("alarm-clock-elapsed.oga")
    artifact = client.ingest(content, "audio")
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    got = client.audio_samples(artifact, 2, 2.01)
    for channel in (0, 1):
        own = [(sample.at_time, sample.amplitude) for sample in got if sample.channel == channel]
        expected = samples[2 * rate : 2 * rate + rate // 100, channel]
        assert [time for time, _ in own] == [frame / rate for frame in range(2 * rate, 2 * rate + rate // 100)]
        np.testing.assert_allclose([amplitude for _, amplitude in own], expected, atol=1e-6)
    assert client.audio_samples(artifact, 1e9) == client.audio_samples(artifact, 3, 2) == []
    assert len(client.audio_samples(artifact, -1e300, 1e300)) == samples.size


def test_an_upload_is_decoded_and_a_corrupt_one_refused(client, connection):
    content, pixels = media.random_png(700, 900)
    assert len(content) > 1 << 20  # more than one window of reading
    artifact = upload(client, content)
    assert facts(connection, artifact)["image"]["width"] == 900 and len(client.artifact_shapes(artifact)) == 48
    assert client.content(artifact) == content
    got = client.image_pixels(artifact, "LINESTRING(899 699, 900 700)")
    assert [pixel.channels for pixel in got] == [pixels[699, 899].tolist()]
    with pytest.raises(errors.ContentMalformed, match="Truncated"):
        upload(client, content[:1_500_000])
    assert run(connection, "select count(*) from hartonomous.upload where artifact_id is null") == [(1,)]


def upload(client, content):
    number = client.ingest_begin("image")
    for at in range(0, len(content), 400_000):
        client.ingest_part(number, at, content[at : at + 400_000])
    return client.ingest_commit(number)


def test_refused_content_leaves_nothing(client, connection):
    before = run(connection, "select count(*) from hartonomous.artifact")
    good, _ = media.random_png(10, 10, seed=5)
    with pytest.raises(errors.ContentMalformed) as raised:
        client.ingest_many([good, good[:-30]], "image")
    assert raised.value.sqlstate == "ZH012" and "'binary'" in raised.value.hint
    assert run(connection, "select count(*) from hartonomous.artifact") == before
    assert client.content(client.ingest(good[:-30], "binary")) == good[:-30]


def test_what_is_too_large_is_stored_and_says_so(client, connection):
    huge = media.png(np.zeros((1, 1, 3), np.uint8)).replace(
        media.chunk(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0])),
        media.chunk(b"IHDR", bytes([0, 1, 0, 0, 0, 1, 0, 0, 8, 2, 0, 0, 0])),
    )
    artifact = client.ingest(huge, "image")
    assert facts(connection, artifact)["image"] == {
        "format": "png", "mode": "RGB", "width": 65536, "height": 65536,
        "undecoded": "65536 x 65536 pixels, at most 67108864 are decoded",
    }  # fmt: skip
    assert client.content(artifact) == huge and client.artifact_shapes(artifact) == []
    with pytest.raises(errors.InvalidParameter, match="at most 67108864 are decoded"):
        client.image_pixels(artifact)


def test_overlap_is_what_comparing_all_pairs_gives(client, connection):
    a = client.ingest(media.random_png(500, 700, 2)[0], "image")
    b = client.ingest(media.random_png(300, 1000, 3)[0], "image")
    pairs = """select s.kind, s.ordinal, o.kind, o.ordinal, st_distance(s.geom, o.geom)
               from hartonomous.artifact_shape as s, hartonomous.artifact_shape as o
               where s.artifact_id = %s and o.artifact_id = %s and st_distance(s.geom, o.geom) <= %s order by 2, 4"""
    for reach in (0, 130):
        got = [tuple(vars(row).values()) for row in client.artifact_overlap(a, b, reach)]
        assert got and got == run(connection, pairs, a, b, reach)
    assert client.artifact_overlap(a, b, kind_b="node") == client.artifact_overlap(a, client.ingest(b"x")) == []


def test_overlap_is_found_by_the_index(dsn, client, connection, server):
    """As a tenant's role: the plan inside the verb."""
    big = media.png(np.zeros((4000, 4000, 3), np.uint8))
    other = media.png(np.ones((4000, 4000, 3), np.uint8))
    a, b = client.ingest(big, "image"), client.ingest(other, "image")
    connection.execute("analyze hartonomous.artifact_shape")
    role = "shape_reader"
    server.execute("create role {} login in role hartonomous_reader", role)
    try:
        client.tenant_role_add(1, role)
        plans: list[str] = []
        with psycopg.connect(dsn, autocommit=True) as session:
            session.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
            for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_level = notice"):
                session.execute("load 'auto_explain'")
                session.execute(f"set auto_explain.{setting}")
            session.execute(f"set role {role}")
            near = session.execute("select count(*) from hartonomous.artifact_overlap(%s, %s)", [a, b]).fetchone()
            one = "select count(*) from hartonomous.artifact_shapes(%s, within => 'POINT(5 5)')"
            assert session.execute(one, [a]).fetchone() == (1,)
        assert near == (sum((32 - abs(i)) * (32 - abs(j)) for i in (-1, 0, 1) for j in (-1, 0, 1)),)
        joined = next(plan for plan in plans if "artifact_shape o" in plan)
        index = r"Nested Loop.*Index Scan using artifact_shape_place.*Index Cond: .*artifact_id = .*&&.*st_expand"
        assert re.search(index, joined, re.DOTALL), joined
        looked = next(plan for plan in plans if "artifact_shape s" in plan and "artifact_shape o" not in plan)
        assert "artifact_shape_place" in looked, looked
    finally:
        connection.execute("delete from hartonomous.tenant_role where role_name = %s", [role])
        server.execute("drop role {}", role)


def test_public_shapes_are_everybodys(dsn, client, connection, server):
    role = "shape_publisher"
    server.execute("create role {} login in role hartonomous_writer", role)
    try:
        client.tenant_role_add(0, role)
        with hartonomous.connect(f"{dsn} options='-c role={role}'") as publisher:
            public = publisher.ingest(media.random_png(9, 9, 9)[0], "image")
        assert len(client.artifact_shapes(public)) == 1 and len(client.image_pixels(public)) == 81
        connection.execute("update hartonomous.tenant_role set tenant_id = 1 where role_name = %s", [role])
        with hartonomous.connect(f"{dsn} options='-c role={role}'") as reader:
            direct = "select count(*) from hartonomous.artifact_shape where artifact_id = %(id)s"
            assert reader.query(direct, {"id": public}).fetchone() == (1,)
    finally:
        connection.execute("delete from hartonomous.tenant_role where role_name = %s", [role])
        server.execute("drop role {}", role)
