"""From the options of a run to what each room is told; the only place that knows both."""

from __future__ import annotations

import os

from img2dataset.fetching import FetchSettings, check_schemes, load_access
from img2dataset.fetching.hosts.policies import NO_POLICIES
from img2dataset.fetching.hosts.policy_files import load_policies
from img2dataset.fetching.http.access import find_ca_bundle
from img2dataset.formats.settings import WriteSettings
from img2dataset.options import (
    DownloadOptions,
    ImageOptions,
    MannersOptions,
    NumberingOptions,
    Options,
    OutputOptions,
)
from img2dataset.storage.runs import new_run_id
from img2dataset.working import WorkSettings


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
        **vars(options.part(NumberingOptions)),
        image=image,
        save_captions=options.caption_col is not None,
        run_id=new_run_id(),
        consent_column=options.save_consent,
    )
    return WorkSettings(
        fetch=fetch_settings(options),
        image=image,
        write=write,
        verify_hash=options.verify_hash is not None,
        blur=options.bbox_col is not None,
        log=options.log,
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
        **vars(options.part(DownloadOptions)),
        **vars(options.part(MannersOptions)),
        processes=processes_count(options),
        policies=load_policies(options.host_policies) if options.consent != "off" else NO_POLICIES,
        access=load_access(
            proxy=options.proxy,
            extra_headers=options.extra_headers,
            cookies=options.cookies,
            credentials_file=options.credentials_file,
            client_certificate=options.client_certificate,
            client_key=options.client_key,
            sign_requests=options.sign_requests,
            signature_agent=options.signature_agent,
        ),
    )
