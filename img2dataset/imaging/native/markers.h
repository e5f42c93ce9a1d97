/* The segments of a JPEG up to its end: frame, tables, and where its scans are (ITU-T T.81, annex B). */
#ifndef SHRINK_MARKERS_H
#define SHRINK_MARKERS_H

#include <stdint.h>

#include "types.h"

/* A scan's header; the components that it names are told their tables. */
enum outcome read_scan_header(decoder *all, const uint8_t *at, const uint8_t *end, scan *made);

/* Past a scan's data, to the next marker that is no restart; NULL where there is none. */
const uint8_t *after_data(const uint8_t *at, const uint8_t *end);

/* The segment at ``*at``: sets ``marker``, the bounds of what it says, and ``*at`` to what follows it. */
enum outcome next_segment(const uint8_t **at, const uint8_t *end, int *marker, const uint8_t **inside,
                          const uint8_t **after);

/* One segment before or between scans. Which colours three components are is said as libjpeg guesses it. */
enum outcome read_segment(decoder *all, int marker, const uint8_t *inside, const uint8_t *after);

/* Three components are YCbCr, and not stored as RGB. */
int is_ycbcr(const decoder *all);

#endif
