"""tsv: as csv, with tabs."""

from img2dataset.reading.delimited import DelimitedFormat


class Format(DelimitedFormat):
    delimiter = "\t"
