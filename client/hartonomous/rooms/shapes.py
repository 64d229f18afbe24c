from __future__ import annotations

from hartonomous.calls import Caller
from hartonomous.records import Line, Overlap, Pixel, Reading, Sample, Shape

Geometry = str | bytes  # WKT, EWKB or its hexadecimal form


class Shapes(Caller):
    """Geometries come as EWKB."""

    def artifact_shapes(
        self, artifact_id: int, of_kind: str | None = None, within: Geometry | None = None
    ) -> list[Shape]:
        return self._rows(Shape, "artifact_shapes", {"artifact_id": artifact_id}, of_kind=of_kind, within=within)

    def artifact_overlap(
        self, a: int, b: int, reach: float | None = None, kind_a: str | None = None, kind_b: str | None = None
    ) -> list[Overlap]:
        return self._rows(Overlap, "artifact_overlap", {"a": a, "b": b}, reach=reach, kind_a=kind_a, kind_b=kind_b)

    def image_pixels(self, artifact_id: int, box: Geometry | None = None) -> list[Pixel]:
        return self._rows(Pixel, "image_pixels", {"artifact_id": artifact_id}, box=box)

    def audio_samples(
        self, artifact_id: int, from_time: float | None = None, to_time: float | None = None
    ) -> list[Sample]:
        return self._rows(Sample, "audio_samples", {"artifact_id": artifact_id}, from_time=from_time, to_time=to_time)

    def sensor_samples(
        self,
        artifact_id: int,
        of_series: str | None = None,
        from_time: float | None = None,
        to_time: float | None = None,
    ) -> list[Reading]:
        given = {"of_series": of_series, "from_time": from_time, "to_time": to_time}
        return self._rows(Reading, "sensor_samples", {"artifact_id": artifact_id}, **given)

    def text_lines(self, artifact_id: int) -> list[Line]:
        return self._rows(Line, "text_lines", {"artifact_id": artifact_id})
