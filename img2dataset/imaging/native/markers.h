/* The segments of a JPEG up to its end: frame, tables, and where its scans are (ITU-T T.81, annex B). */
#ifndef SHRINK_MARKERS_H
#define SHRINK_MARKERS_H

#include <stdint.h>

#include "types.h"

/* Reads a scan's header, and sets the tables of its components. */
enum outcome read_scan_header(decoder *jpeg, const uint8_t *at, const uint8_t *end, scan *made);

/* The next marker after a scan's data that is no restart marker; NULL if there is none. */
const uint8_t *after_data(const uint8_t *at, const uint8_t *end);

/* The segment at ``*at``: sets ``marker``, the bounds of its content, and ``*at`` to what follows it. */
enum outcome next_segment(const uint8_t **at, const uint8_t *end, int *marker, const uint8_t **inside,
                          const uint8_t **after);

/* One segment before or between scans. Colour spaces are guessed as libjpeg does. */
enum outcome read_segment(decoder *jpeg, int marker, const uint8_t *inside, const uint8_t *after);

/* Three components are YCbCr, and not stored as RGB. */
int is_ycbcr(const decoder *jpeg);

#endif
