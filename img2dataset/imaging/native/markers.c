#include "markers.h"

#include <string.h>

#include "huffman.h"

static inline int two_bytes(const uint8_t *at) { return at[0] << 8 | at[1]; }

static enum outcome read_quantisation(decoder *jpeg, const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        int wide = *at >> 4, number = *at & 15;
        at++;
        if (wide > 1 || number > 3 || end - at < (wide ? 128 : 64)) return UNSUPPORTED;
        for (int i = 0; i < 64; i++, at += 1 + wide) {
            int step = wide ? two_bytes(at) : *at;
            if (step > INT16_MAX) return UNSUPPORTED;
            jpeg->tables[number][i] = (int16_t)step;
        }
        jpeg->tables_defined[number] = 1;
    }
    return OK;
}

static enum outcome read_huffman(decoder *jpeg, const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        if (end - at < 17) return UNSUPPORTED;
        int is_ac = *at >> 4, number = *at & 15, count = 0;
        for (int i = 1; i <= 16; i++) count += at[i];
        if (is_ac > 1 || number > 3 || count > 256 || end - at < 17 + count) return UNSUPPORTED;
        huffman_table *table = is_ac ? &jpeg->ac[number] : &jpeg->dc[number];
        if (build_table(table, at + 1, at + 17, count, !is_ac) != OK) return UNSUPPORTED;
        at += 17 + count;
    }
    return OK;
}

static enum outcome read_frame(decoder *jpeg, const uint8_t *at, const uint8_t *end) {
    if (jpeg->components_count || end - at < 6 || at[0] != 8) return UNSUPPORTED;
    int count = at[5];
    if (two_bytes(at + 1) != jpeg->height || two_bytes(at + 3) != jpeg->width) return UNSUPPORTED;
    if ((count != 1 && count != 3) || end - at != 6 + 3 * count) return UNSUPPORTED;
    jpeg->components_count = count;
    jpeg->most_across = jpeg->most_down = 1;
    for (int i = 0; i < count; i++) {
        component *part = &jpeg->components[i];
        const uint8_t *its = at + 6 + 3 * i;
        part->id = its[0], part->across = its[1] >> 4, part->down = its[1] & 15, part->table = its[2];
        if (count == 1) part->across = part->down = 1;
        if (part->across < 1 || part->across > 4 || part->down < 1 || part->down > 4) return UNSUPPORTED;
        if (part->table > 3) return UNSUPPORTED;
        if (part->across > jpeg->most_across) jpeg->most_across = part->across;
        if (part->down > jpeg->most_down) jpeg->most_down = part->down;
    }
    jpeg->mcus_across = divided_up(jpeg->width, 8 * jpeg->most_across);
    jpeg->mcus_down = divided_up(jpeg->height, 8 * jpeg->most_down);
    int blocks = 0;
    for (int i = 0; i < count; i++) {
        component *part = &jpeg->components[i];
        if (jpeg->most_across % part->across || jpeg->most_down % part->down) return UNSUPPORTED;
        blocks += part->across * part->down;
        part->width = divided_up(jpeg->width * part->across, jpeg->most_across);
        part->height = divided_up(jpeg->height * part->down, jpeg->most_down);
        part->blocks_across = jpeg->mcus_across * part->across;
        part->blocks_down = jpeg->mcus_down * part->down;
        part->own_blocks_across = divided_up(part->width, 8);
        part->own_blocks_down = divided_up(part->height, 8);
    }
    return blocks > 10 ? UNSUPPORTED : OK;
}

enum outcome read_scan_header(decoder *jpeg, const uint8_t *at, const uint8_t *end, scan *made) {
    int count = at < end ? *at : 0;
    if (!jpeg->components_count || count < 1 || count > jpeg->components_count || end - at != 4 + 2 * count)
        return UNSUPPORTED;
    made->count = count;
    for (int i = 0; i < count; i++) {
        int found = -1, tables = at[2 + 2 * i];
        for (int j = 0; j < jpeg->components_count; j++)
            if (jpeg->components[j].id == at[1 + 2 * i]) found = j;
        if (found < 0 || (tables >> 4) > 3 || (tables & 15) > 3) return UNSUPPORTED;
        if (i && made->components[i - 1] >= found) return UNSUPPORTED;
        made->components[i] = found;
        jpeg->components[found].dc_table = tables >> 4;
        jpeg->components[found].ac_table = tables & 15;
    }
    const uint8_t *range = at + 1 + 2 * count;
    made->first = range[0], made->last = range[1], made->high = range[2] >> 4, made->low = range[2] & 15;
    if (!jpeg->progressive)
        return count == jpeg->components_count && made->first == 0 && made->last == 63 && !range[2] ? OK : UNSUPPORTED;
    if (made->last > 63 || made->first > made->last || made->low > 13) return UNSUPPORTED;
    if (made->first == 0 ? made->last != 0 : count != 1) return UNSUPPORTED;
    return made->high && made->high != made->low + 1 ? UNSUPPORTED : OK;
}

const uint8_t *after_data(const uint8_t *at, const uint8_t *end) {
    while ((at = memchr(at, 0xFF, (size_t)(end - at))) != NULL) {
        if (at + 1 >= end) return NULL;
        if (at[1] != 0 && (at[1] & 0xF8) != 0xD0) return at;
        at += 2;
    }
    return NULL;
}

enum outcome next_segment(const uint8_t **at, const uint8_t *end, int *marker, const uint8_t **inside,
                          const uint8_t **after) {
    while (*at + 1 < end && (*at)[0] == 0xFF && (*at)[1] == 0xFF) ++*at;
    if (end - *at < 2 || (*at)[0] != 0xFF) return UNSUPPORTED;
    *marker = (*at)[1];
    *inside = *after = *at + 2;
    if (*marker != 0xD9) {
        if (end - *at < 4 || two_bytes(*at + 2) < 2 || end - *at < 2 + two_bytes(*at + 2)) return UNSUPPORTED;
        *inside = *at + 4;
        *after = *at + 2 + two_bytes(*at + 2);
    }
    *at = *after;
    return OK;
}

enum outcome read_segment(decoder *jpeg, int marker, const uint8_t *inside, const uint8_t *after) {
    switch (marker) {
        case 0xC0: case 0xC1: case 0xC2:
            jpeg->progressive = marker == 0xC2;
            return read_frame(jpeg, inside, after);
        case 0xC4: return read_huffman(jpeg, inside, after);
        case 0xDB: return read_quantisation(jpeg, inside, after);
        case 0xDD:
            if (after - inside != 2) return UNSUPPORTED;
            jpeg->restart_interval = two_bytes(inside);
            return OK;
        case 0xE0:
            if (after - inside >= 14 && memcmp(inside, "JFIF", 5) == 0) jpeg->jfif = 1;
            return OK;
        case 0xEE:
            if (after - inside >= 12 && memcmp(inside, "Adobe", 5) == 0) jpeg->adobe_transform = inside[11];
            return OK;
        default:
            /* Other applications' data and comments. */
            return (marker & 0xF0) == 0xE0 || marker == 0xFE ? OK : UNSUPPORTED;
    }
}

int is_ycbcr(const decoder *jpeg) {
    const component *parts = jpeg->components;
    if (jpeg->jfif) return 1;
    if (jpeg->adobe_transform >= 0) return jpeg->adobe_transform == 1;
    return parts[0].id == 1 && parts[1].id == 2 && parts[2].id == 3;
}
