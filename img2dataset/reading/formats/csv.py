"""csv: a header line, fields separated by commas, quotes around those that hold one."""

from img2dataset.reading.delimited import DelimitedFormat


class Format(DelimitedFormat):
    delimiter = ","
