"""The options themselves. The command line, the docstring of ``download``, the table in the README and the
run manifest are all drawn from this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from img2dataset.options.declaring import option

TEXT_FORMATS = ("txt", "csv", "tsv", "json", "jsonl")
INPUT_FORMATS = (*TEXT_FORMATS, *(name + ".gz" for name in TEXT_FORMATS), "parquet")
INTERPOLATIONS = ("nearest", "linear", "bilinear", "cubic", "bicubic", "area", "lanczos", "lanczos4")
HASHES = ("md5", "sha256", "sha512")
# Beginnings of the failures that can pass: servers and networks have bad hours, and names come back.
PASSING_FAILURES = (
    "timeout",
    "DNS",
    "connection",
    "TLS",
    "internal",
    "HTTP 408",
    "HTTP 425",
    "HTTP 429",
    "HTTP 5",
    "opt-out: robots.txt unavailable",
    # What 1.47.0 wrote, whose folders are gone on with.
    "HTTP Error 408",
    "HTTP Error 425",
    "HTTP Error 429",
    "HTTP Error 5",
    "<urlopen error",
    "timed out",
    "The read operation timed out",
    "Remote end closed connection",
    "IncompleteRead",
    "[Errno 104]",
)

INPUT, IMAGES, OUTPUT, DOWNLOADS, MANNERS, RUN = (
    "Input",
    "Images",
    "Output",
    "Downloads",
    "Names, manners and access",
    "Run",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Every option of a run, checked. Built by ``resolve`` only."""

    # Input
    url_list: Any = option(
        help="file, folder or glob with the URLs, on any fsspec file system; in Python also an iterable"
        " of URLs or rows, or an Arrow table",
        group=INPUT,
    )
    input_format: str = option(
        "txt", help="format of the URL list", group=INPUT, choices=INPUT_FORMATS, shapes_output=True
    )
    url_col: str = option("url", help="column with the URLs", group=INPUT, shapes_output=True)
    caption_col: str | None = option(None, help="column with the captions", group=INPUT, shapes_output=True)
    bbox_col: str | None = option(
        None,
        help="column with lists of [x_min, y_min, x_max, y_max] in 0–1: regions to blur",
        group=INPUT,
        shapes_output=True,
    )
    save_additional_columns: tuple[str, ...] | None = option(
        None, help="columns of the list to carry into the metadata", group=INPUT, shapes_output=True
    )
    verify_hash: tuple[str, ...] | None = option(
        None, help="[column, hash type] that downloaded bytes must match", group=INPUT, shapes_output=True
    )
    input_columns: tuple[str, ...] | None = option(
        None,
        help="names of the columns of a csv or tsv without a header line",
        group=INPUT,
        shapes_output=True,
    )
    input_delimiter: str | None = option(
        None,
        help="what separates the fields of a csv or tsv",
        group=INPUT,
        shapes_output=True,
        default_text="',' for csv, tab for tsv",
    )
    input_quote: str | None = option(
        '"',
        help="what quotes the fields of a csv or tsv; None: nothing does",
        group=INPUT,
        shapes_output=True,
    )

    # Images
    image_size: int = option(
        256, help="target size", unit="pixels", group=IMAGES, minimum=1, maximum=65535, shapes_output=True
    )
    resize_mode: str = option(
        "border",
        help="no: as it is; border: longest side, padded to a square; keep_ratio: smallest side;"
        " keep_ratio_largest: longest side; center_crop: smallest side, then the central square",
        group=IMAGES,
        choices=("no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"),
        shapes_output=True,
    )
    resize_only_if_bigger: bool = option(
        False, help="leave images that are not larger than image_size", group=IMAGES, shapes_output=True
    )
    upscale_interpolation: str = option(
        "lanczos",
        help="how small images are enlarged",
        group=IMAGES,
        choices=INTERPOLATIONS,
        shapes_output=True,
    )
    downscale_interpolation: str = option(
        "area", help="how large images are reduced", group=IMAGES, choices=INTERPOLATIONS, shapes_output=True
    )
    encode_format: str = option(
        "jpg",
        help="format of the stored images",
        group=IMAGES,
        choices=("jpg", "png", "webp"),
        shapes_output=True,
    )
    encode_quality: int = option(
        95,
        help="jpg 0–100; png: compression 0–9; webp 0–100, above 100 lossless",
        group=IMAGES,
        minimum=0,
        shapes_output=True,
        default_text="95 (png: 6)",
    )
    skip_reencode: bool = option(
        False,
        help="keep the original bytes of images that need no change",
        group=IMAGES,
        shapes_output=True,
    )
    disable_all_reencoding: bool = option(
        False, help="store the bytes as they came, unchecked", group=IMAGES, shapes_output=True
    )
    store_true_extension: bool = option(
        False,
        help="store kept originals under their true ending, with their true size",
        group=IMAGES,
        shapes_output=True,
    )
    apply_orientation: bool = option(
        True, help="turn images upright as their EXIF says", group=IMAGES, shapes_output=True
    )
    exact_resize: bool = option(
        False,
        help="resize and blur pixel for pixel as img2dataset 1.47.0 did, more slowly",
        group=IMAGES,
        shapes_output=True,
    )
    convert_to_srgb: bool = option(
        False, help="convert embedded colour profiles to sRGB", group=IMAGES, shapes_output=True
    )
    min_image_size: int = option(
        0,
        help="refuse images whose smallest side is below this",
        unit="pixels",
        group=IMAGES,
        minimum=0,
        shapes_output=True,
    )
    max_image_area: float = option(
        float("inf"), help="refuse larger images", unit="pixels", group=IMAGES, above=0, shapes_output=True
    )
    max_aspect_ratio: float = option(
        float("inf"),
        help="refuse images whose longer side is more times the shorter",
        group=IMAGES,
        minimum=1,
        shapes_output=True,
    )
    max_decoded_pixels: int = option(
        200_000_000,
        help="refuse, unread, images that say they are larger (decompression bombs)",
        unit="pixels",
        group=IMAGES,
        minimum=1,
        shapes_output=True,
    )
    extract_exif: bool = option(
        True, help="keep the original's EXIF in the metadata", group=IMAGES, shapes_output=True
    )
    compute_hash: str | None = option(
        "sha256", help="hash of the downloaded bytes", group=IMAGES, choices=HASHES, shapes_output=True
    )

    # Output
    output_folder: str = option(
        "images", help="where the dataset goes, on any fsspec file system", group=OUTPUT
    )
    output_format: str = option(
        "files",
        help="how samples are packed; dummy writes statistics only",
        group=OUTPUT,
        choices=("files", "webdataset", "parquet", "tfrecord", "dummy"),
        shapes_output=True,
    )
    number_sample_per_shard: int = option(
        10000, help="rows a shard", unit="rows", group=OUTPUT, minimum=1, shapes_output=True
    )
    oom_shard_count: int = option(
        5,
        help="digits of the shard number",
        unit="digits",
        group=OUTPUT,
        minimum=1,
        maximum=18,
        shapes_output=True,
    )
    hugging_face_images: bool = option(
        False,
        help="in parquet output, store images as Hugging Face datasets does, so that they load as images",
        group=OUTPUT,
        shapes_output=True,
    )
    incremental_mode: str = option(
        "incremental",
        help="incremental: go on, skipping finished shards; overwrite: empty the folder first;"
        " extend: new shards after the highest; retry_failed: go on, and take rows again whose failure can"
        " pass; new_only: extend with the rows whose URL is not there yet",
        group=OUTPUT,
        choices=("incremental", "overwrite", "extend", "retry_failed", "new_only"),
    )
    retry_classes: tuple[str, ...] = option(
        PASSING_FAILURES,
        help="with retry_failed: beginnings of the failures that are taken again",
        group=OUTPUT,
        default_text="timeouts, DNS, connection, TLS, 408, 425, 429, 5xx",
    )

    allow_mixing: bool = option(
        False, help="go on over a folder made with other options or from another list", group=OUTPUT
    )

    # Downloads
    thread_count: int = option(
        256, help="downloads in flight a process", group=DOWNLOADS, minimum=1, maximum=20000
    )
    adaptive_thread_count: bool = option(
        True,
        help="let thread_count rise and fall with what network and machine can take, from 16 to 1024",
        group=DOWNLOADS,
        default_text="True, False when thread_count is given",
    )
    timeout: float = option(
        10.0, help="bound on connecting and on every silence", unit="seconds", group=DOWNLOADS, above=0
    )
    minimum_speed: int = option(
        1000,
        help="cut downloads slower than this on average over timeout",
        unit="bytes/s",
        group=DOWNLOADS,
        minimum=0,
    )
    deadline: float = option(
        60.0, help="bound on one whole download, redirects included", unit="seconds", group=DOWNLOADS, above=0
    )
    max_download_bytes: int = option(
        100_000_000,
        help="bound on one body, after undoing its compression",
        unit="bytes",
        group=DOWNLOADS,
        minimum=1,
    )
    body_memory: int = option(
        128_000_000,
        help="bodies held at once a process, arriving or waiting for pixels",
        unit="bytes",
        group=DOWNLOADS,
        minimum=1_000_000,
    )
    retries: int = option(
        0, help="tries after the first, for failures that can pass", group=DOWNLOADS, minimum=0
    )
    user_agent: str | None = option(
        None,
        help="the whole User-Agent header",
        group=DOWNLOADS,
        default_text="img2dataset, its version and its address",
    )
    user_agent_token: str | None = option(
        None, help="your name in the User-Agent, matched against X-Robots-Tag", group=DOWNLOADS
    )
    disallowed_header_directives: tuple[str, ...] | None = option(
        ("noai", "noimageai", "noindex", "noimageindex"),
        help="X-Robots-Tag directives that exclude an image; [] accepts all",
        group=DOWNLOADS,
    )
    ignore_ssl_certificate: bool = option(
        False, help="accept certificates that cannot be verified", group=DOWNLOADS
    )

    ca_bundle: str | None = option(
        None,
        help="file of the certificates to trust",
        group=DOWNLOADS,
        default_text="SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or certifi's",
    )

    # Names, manners, access
    dns: str = option(
        "internal",
        help="who finds addresses: the program itself, cached and asking again, or the system",
        group=MANNERS,
        choices=("internal", "system"),
    )
    dns_servers: tuple[str, ...] = option(
        (), help="name servers to ask, address or address:port", group=MANNERS, default_text="the system's"
    )
    dns_min_ttl: float = option(
        60.0, help="how long an answer is kept at least", unit="seconds", group=MANNERS, minimum=0
    )
    dns_max_ttl: float = option(
        3600.0, help="how long an answer is kept at most", unit="seconds", group=MANNERS, minimum=0
    )
    max_connections_per_host: int | None = option(
        None,
        help="requests to one host at a time, by all processes together; 0: no bound",
        group=MANNERS,
        minimum=0,
        default_text="32; no bound in one's own network",
    )
    max_requests_per_second_per_host: float | None = option(
        None, help="and how many a second", group=MANNERS, above=0
    )
    max_retry_after: float = option(
        120.0,
        help="how long a host that answers 429 or 503 is waited for",
        unit="seconds",
        group=MANNERS,
        minimum=0,
    )
    respect_robots_txt: bool = option(
        False, help="ask each site's robots.txt first (extra: robots)", group=MANNERS
    )
    respect_tdm: bool = option(
        False, help="leave images out whose site reserves text and data mining (TDMRep)", group=MANNERS
    )
    contact: str | None = option(
        None, help="where site owners can reach you, named in the User-Agent", group=MANNERS
    )
    private_addresses: str = option(
        "allow",
        help="addresses of one's own network, named in the list; deny for lists from the web",
        group=MANNERS,
        choices=("allow", "deny"),
    )
    allow_schemes: tuple[str, ...] = option(
        (), help="schemes beside http, https and data that rows may have, such as file or s3", group=MANNERS
    )
    proxy: tuple[str, ...] = option(
        (),
        help="proxies, used in turn",
        group=MANNERS,
        secret=True,
        default_text="those of the environment",
    )
    extra_headers: tuple[str, ...] = option(
        (), help="'Name: value' lines sent to the hosts", group=MANNERS, secret=True
    )
    cookies: str | None = option(None, help="cookie file in Netscape format", group=MANNERS)
    credentials_file: str | None = option(
        None,
        help="netrc, or JSON with bearer tokens, for named hosts",
        group=MANNERS,
        default_text="the file named by IMG2DATASET_CREDENTIALS",
    )
    client_certificate: str | None = option(
        None, help="PEM file shown to servers that ask for one", group=MANNERS
    )
    client_key: str | None = option(None, help="PEM file of its key", group=MANNERS)

    # Run
    processes_count: int | None = option(
        None, help="worker processes", group=RUN, minimum=1, maximum=4096, default_text="one a core"
    )
    distributor: str = option(
        "multiprocessing",
        help="who runs the workers",
        group=RUN,
        choices=("multiprocessing", "pyspark", "ray"),
    )
    subjob_size: int = option(1000, help="shards a pyspark job", unit="shards", group=RUN, minimum=1)
    max_shard_retry: int = option(
        1, help="how often failed shards are tried again at the end", group=RUN, minimum=0
    )
    enable_wandb: bool = option(False, help="report to Weights & Biases", group=RUN)
    wandb_project: str = option("img2dataset", help="project of the W&B run", group=RUN)
