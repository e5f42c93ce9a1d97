"""From the options of a run to what each room is told; the only place that knows both."""

from __future__ import annotations

import os

from img2dataset.fetching import FetchSettings, HostManners, check_schemes, load_access
from img2dataset.fetching.http.access import find_ca_bundle
from img2dataset.options import ImageOptions, Options, OutputOptions
from img2dataset.storage.runs import new_run_id
from img2dataset.working import WorkSettings
from img2dataset.writing import WriteSettings


def work_settings(options: Options) -> WorkSettings:
    """What every worker is told, with a new run id for its temporary files.

    Raises:
        OptionError: as ``fetch_settings``.
        MissingDependency: the output format, a scheme or robots.txt needs a package that is not installed.
            Those of the list's and the output folder's file systems are missed when these are opened, which
            is next, and before anything is made.
    """
    image = options.part(ImageOptions)
    write = WriteSettings(
        **vars(options.part(OutputOptions)),
        image=image,
        save_captions=options.caption_col is not None,
        run_id=new_run_id(),
    )
    return WorkSettings(
        fetch=fetch_settings(options),
        image=image,
        write=write,
        verify_hash=options.verify_hash is not None,
        blur=options.bbox_col is not None,
    )


def processes_count(options: Options) -> int:
    """The worker processes of a run: as asked, or one for each core this process may use."""
    if options.processes_count is not None:
        return options.processes_count
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fetch_settings(options: Options) -> FetchSettings:
    """What the fetching room is told.

    Raises:
        OptionError: a file, a header or an address that an option names is wrong.
        MissingDependency: what an option asks for needs a package that is not installed.
    """
    check_schemes(options.allow_schemes)
    if not options.ignore_ssl_certificate:
        # A worker would find out too, and only when the list has been read and the folder made.
        find_ca_bundle(options.ca_bundle)
    return FetchSettings(
        concurrency=options.thread_count,
        adaptive_concurrency=options.adaptive_thread_count,
        timeout_s=options.timeout,
        deadline_s=options.deadline,
        minimum_bytes_per_s=options.minimum_speed,
        max_body_bytes=options.max_download_bytes,
        body_budget_bytes=options.body_memory,
        retries=options.retries,
        user_agent=options.user_agent,
        user_agent_token=options.user_agent_token,
        disallowed_header_directives=options.disallowed_header_directives or (),
        verify_certificates=not options.ignore_ssl_certificate,
        ca_bundle=options.ca_bundle,
        contact=options.contact,
        respect_robots_txt=options.respect_robots_txt,
        respect_tdm=options.respect_tdm,
        manners=HostManners(
            max_connections_per_host=options.max_connections_per_host,
            max_requests_per_second_per_host=options.max_requests_per_second_per_host,
            max_retry_after_s=options.max_retry_after,
            processes=processes_count(options),
        ),
        access=load_access(
            proxy=options.proxy,
            extra_headers=options.extra_headers,
            cookies=options.cookies,
            credentials_file=options.credentials_file,
            client_certificate=options.client_certificate,
            client_key=options.client_key,
        ),
        dns="system" if options.dns == "system" else "internal",
        dns_servers=options.dns_servers,
        dns_min_ttl_s=options.dns_min_ttl,
        dns_max_ttl_s=options.dns_max_ttl,
        network_patience_s=options.network_patience,
        private_addresses="deny" if options.private_addresses == "deny" else "allow",
        allow_schemes=options.allow_schemes,
    )
