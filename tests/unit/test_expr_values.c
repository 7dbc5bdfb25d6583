/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, numbers and texts of the expression language beyond the table of cases. */
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/test.h"

struct row {
    const char *template;
    const char *expect; /* NULL: an evaluation failure */
};

static void check_rows(const struct row *rows, size_t count, const char *context)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(arena_freep) struct arena *arena = arena_new();
        struct expr_env env = { .now = 1709802303123456, .seed = 3 };
        struct error err = { 0 };
        env.context = json_parse(arena, context, strlen(context), &err);
        const char *text = expr_render_text(&env, arena, rows[i].template, NULL, &err);
        if (rows[i].expect == NULL) {
            if (text != NULL)
                fail_msg("%s gives %s", rows[i].template, text);
            assert_int_equal(env.failure, EXPR_EVALUATION);
        } else if (text == NULL || strcmp(text, rows[i].expect) != 0) {
            fail_msg("%s\n  expected %s\n  got      %s", rows[i].template, rows[i].expect,
                     text == NULL ? err.text : text);
        }
    }
}

#define CHECK_ROWS(rows, context) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), context)

/* The instant of the specification's examples; d in UTC, p in Paris. */
static const char dates[] = "{\"d\":\"2024-03-07T09:05:03.123456789Z\",\"P\":\"Europe/"
                            "Paris\",\"n\":\"2024-03-07T00:30:00Z\","
                            "\"b\":\"-0043-03-15T12:00:00Z\"}";

static void expr_dates_have_named_formats(void **state)
{
    static const struct row rows[] = {
        { "{{ d | date('iso_milli', timeZone=P) }}", "2024-03-07T10:05:03.123+01:00" },
        { "{{ d | date('sql_sec', P) }}", "2024-03-07 10:05:03" },
        { "{{ d | date('iso_date_time', P) }}",
          "2024-03-07T10:05:03.123456789+01:00[Europe/Paris]" },
        { "{{ d | date('iso_date_time', '+02') }}", "2024-03-07T11:05:03.123456789+02:00" },
        { "{{ d | date('iso_date_time', 'UTC+2') }}",
          "2024-03-07T11:05:03.123456789+02:00[UTC+02:00]" },
        { "{{ d | date('iso_date', P) }}", "2024-03-07+01:00" },
        { "{{ d | date('iso_time', P) }}", "10:05:03.123456789+01:00" },
        { "{{ d | date('iso_ordinal_date', P) }}", "2024-067+01:00" },
        { "{{ d | date('iso_instant', P) }}", "2024-03-07T09:05:03.123456789Z" },
        { "{{ n | date('iso_local_time') }}", "00:30:00" },
        { "{{ d | date('full') }}",
          "Thursday, March 7, 2024 at 9:05:03 AM Coordinated Universal Time" },
        { "{{ d | date('full', P) }}",
          "Thursday, March 7, 2024 at 10:05:03 AM Central European Standard Time" },
        { "{{ d | date('long', P) }}", "March 7, 2024 at 10:05:03 AM CET" },
        { "{{ d | date('medium') }}", "Mar 7, 2024, 9:05:03 AM" },
        { "{{ d | date('short') }}", "3/7/24, 9:05 AM" },
        { "{{ d | date('short', locale='de') }}", "07.03.24, 09:05" },
        { "{{ d | date('nope') }}", NULL },
        { "{{ now('iso_milli') }}", "2024-03-07T09:05:03.123Z" },
        { "{{ now('HH:mm', 'Asia/Tokyo') }}", "18:05" },
    };
    (void)state;
    CHECK_ROWS(rows, dates);
}

static void expr_dates_have_pattern_letters(void **state)
{
    static const struct row rows[] = {
        { "{{ d | date('GGGG GGGGG') }}", "Anno Domini A" },
        { "{{ b | date('G y u uuuu') }}", "BC 44 -43 -0043" },
        { "{{ d | date('y yy yyy yyyyy') }}", "2024 24 2024 02024" },
        { "{{ '+12024-03-07' | date('yyyy') }}", "+12024" },
        { "{{ d | date('M MM MMM MMMM MMMMM LLL') }}", "3 03 Mar March M Mar" },
        { "{{ d | date('D DD DDD') }}", "67 67 067" },
        { "{{ d | date('Q QQ QQQ QQQQ QQQQQ') }}", "1 01 Q1 1st quarter 1" },
        { "{{ '2023-12-31' | date('YYYY w W') }}", "2024 1 6" },
        { "{{ '2023-12-31' | date('YYYY w', locale='fr_FR') }}", "2023 52" },
        { "{{ '2021-01-01' | date('YYYY w', locale='de_DE') }}", "2020 53" },
        { "{{ '2021-01-01' | date('YYYY w', locale='de') }}", "2021 1" },
        { "{{ d | date('E EEEE EEEEE') }}", "Thu Thursday T" },
        { "{{ d | date('e ee eee eeee c') }}", "5 05 Thu Thursday 5" },
        { "{{ d | date('e', locale='fr-FR') }}", "4" },
        { "{{ d | date('cc') }}", NULL },
        { "{{ d | date('a h hh K k kk H') }}", "AM 9 09 9 9 09 9" },
        { "{{ n | date('a h K k H') }}", "AM 12 0 24 0" },
        { "{{ '2024-03-07T12:00' | date('B') }} {{ '2024-03-07T15:00' | date('BBBB') }}",
          "noon in the afternoon" },
        { "{{ d | date('S SS SSS SSSSSS') }}", "1 12 123 123456" },
        { "{{ d | date('A n N') }}", "32703123 123456789 32703123456789" },
        { "{{ d | date('g') }}", "60376" },
        { "{{ d | date('VV z zzzz', 'America/New_York') }}",
          "America/New_York EST Eastern Standard Time" },
        { "{{ '2024-07-07T00:00Z' | date('z zzzz v vvvv', 'America/New_York') }}",
          "EDT Eastern Daylight Time ET Eastern Time" },
        { "{{ d | date('z', 'Asia/Kolkata') }} {{ d | date('zzzz', 'Asia/Jerusalem') }}",
          "IST Israel Standard Time" },
        { "{{ d | date('z zzzz', 'America/Sao_Paulo') }}", "BRT Brasilia Standard Time" },
        { "{{ d | date('z zzzz VV', '+05:30') }}", "+05:30 +05:30 +05:30" },
        { "{{ d | date('O OOOO', 'Asia/Kolkata') }}", "GMT+5:30 GMT+05:30" },
        { "{{ d | date('X XX XXX XXXX XXXXX', 'Asia/Kolkata') }}",
          "+0530 +0530 +05:30 +0530 +05:30" },
        { "{{ d | date('X XX x xxx', P) }}", "+01 +0100 +01 +01:00" },
        { "{{ d | date('Z ZZZZ ZZZZZ', P) }}", "+0100 GMT+01:00 +01:00" },
        { "{{ d | date('ppH pppppd') }}", " 9     7" },
        { "{{ d | date(\"'year' yyyy''MM[-dd]\") }}", "year 2024'03-07" },
        { "{{ d | date('ppp') }}", NULL },
        { "{{ d | date('yyyy]') }}", NULL },
        { "{{ d | date('#') }}", NULL },
        { "{{ d | date('hhh') }}", NULL },
        { "{{ d | date('V') }}", NULL },
        { "{{ d | date('') }}|", "|" },
    };
    (void)state;
    CHECK_ROWS(rows, dates);
}

static void expr_dates_speak_several_languages(void **state)
{
    static const struct row rows[] = {
        { "{{ d | date('EEEE d MMMM', locale='fr-FR') }}", "jeudi 7 mars" },
        { "{{ d | date('EEE MMM LLL', locale='de_DE') }}", "Do. März Mär" },
        { "{{ d | date(\"EEEE, d 'de' MMMM\", locale='es') }}", "jueves, 7 de marzo" },
        { "{{ d | date('EEEE d MMMM', locale='it') }}", "giovedì 7 marzo" },
        { "{{ d | date('EEEE d MMMM', locale='pt') }}", "quinta-feira 7 março" },
        { "{{ d | date('EEEE d MMMM QQQQ', locale='nl') }}", "donderdag 7 maart 1e kwartaal" },
        { "{{ d | date('MMMM', locale='xx') }}", NULL },
    };
    (void)state;
    CHECK_ROWS(rows, dates);
}

static void expr_dates_are_read_by_pattern(void **state)
{
    static const struct row rows[] = {
        { "{{ '24-3-7' | date('iso_sec', existingFormat='yy-M-d') }}", "2024-03-07T00:00:00Z" },
        { "{{ '070324' | date('yyyy-MM-dd', existingFormat='ddMMyy') }}", "2024-03-07" },
        { "{{ '20240307T090503123' | date('iso_milli', existingFormat=\"yyyyMMdd'T'HHmmssSSS\") }}",
          "2024-03-07T09:05:03.123Z" },
        { "{{ 'Thu 07 Mar 2024' | date('yyyy-MM-dd', existingFormat='EEE dd MMM yyyy') }}",
          "2024-03-07" },
        { "{{ 'Fri 07 Mar 2024' | date('yyyy-MM-dd', existingFormat='EEE dd MMM yyyy') }}", NULL },
        { "{{ '2024-03-07 09:05 Europe/Paris' | date('iso_sec', existingFormat='yyyy-MM-dd HH:mm "
          "VV') }}",
          "2024-03-07T08:05:00Z" },
        { "{{ '2024-03-07 09:05 EST' | date('iso_sec', existingFormat='yyyy-MM-dd HH:mm z') }}",
          "2024-03-07T14:05:00Z" },
        { "{{ '2024-03-07 09:05 GMT+5:30' | date('iso_sec', existingFormat='yyyy-MM-dd HH:mm O') "
          "}}",
          "2024-03-07T03:35:00Z" },
        { "{{ '2024-03-07 09:05+02' | date('iso_sec', existingFormat='yyyy-MM-dd HH:mmX') }}",
          "2024-03-07T07:05:00Z" },
        { "{{ '2024-03-07 12:30 AM' | date('HH:mm', existingFormat='yyyy-MM-dd hh:mm a') }}",
          "00:30" },
        { "{{ '2024-03-07 24' | date('HH', existingFormat='yyyy-MM-dd kk') }}", "00" },
        { "{{ '2024-03-07' | date('HH:mm', existingFormat='yyyy-MM-dd[ HH:mm]') }}", "00:00" },
        { "{{ '2024-03-07 10:20' | date('HH:mm', existingFormat='yyyy-MM-dd[ HH:mm]') }}",
          "10:20" },
        { "{{ '2024-W10-4' | date('yyyy-MM-dd', existingFormat='iso_week_date') }}", "2024-03-07" },
        { "{{ '2024 10 5' | date('yyyy-MM-dd', existingFormat='YYYY w e') }}", "2024-03-07" },
        { "{{ '7 Mar 2024 09:05 +0100' | date('iso_sec', existingFormat='rfc_1123_date_time') }}",
          "2024-03-07T08:05:00Z" },
        { "{{ '2024-03-07T09:05:03.5+01:00' | date('iso_milli', existingFormat='iso_date_time') }}",
          "2024-03-07T08:05:03.500Z" },
        { "{{ '29/02/2023' | date('yyyy-MM-dd', existingFormat='dd/MM/yyyy') }}", "2023-02-28" },
        { "{{ '2023-366' | date('yyyy', existingFormat='yyyy-DDD') }}", NULL },
        { "{{ '2024-03-07 25:00' | date('HH', existingFormat='yyyy-MM-dd HH:mm') }}", NULL },
        { "{{ '2024-03-07x' | date('HH', existingFormat='yyyy-MM-dd') }}", NULL },
        { "{{ 'mars 7 2024' | date('HH', existingFormat='MMMM d yyyy') }}", NULL },
        { "{{ '2024-13-07' | date('HH', existingFormat='yyyy-MM-dd') }}", NULL },
    };
    (void)state;
    CHECK_ROWS(rows, dates);
}

static void expr_dates_add_across_daylight_saving(void **state)
{
    static const struct row rows[] = {
        { "{{ '2024-03-30T02:30' | dateAdd(1, 'DAYS', 'iso_sec', P) }}",
          "2024-03-31T03:30:00+02:00" },
        { "{{ '2024-10-27T00:30:00Z' | dateAdd(1, 'HOURS', 'iso_sec', P) }}",
          "2024-10-27T02:30:00+01:00" },
        { "{{ '2024-10-27T01:30:00Z' | dateAdd(0, 'DAYS', 'iso_sec', P) }}",
          "2024-10-27T02:30:00+01:00" },
        { "{{ '2024-02-29' | dateAdd(-1, 'CENTURIES', 'yyyy-MM-dd') }}", "1924-02-29" },
        { "{{ '2024-02-29' | dateAdd(1, 'DECADES', 'yyyy-MM-dd') }}", "2034-02-28" },
        { "{{ d | dateAdd(1, 'NANOS', 'n') }} {{ d | dateAdd(-123456790, 'NANOS', 'ss n') }}",
          "123456790 02 999999999" },
        { "{{ d | dateAdd(9223372036854775807, 'DAYS') }}", NULL },
        { "{{ d | dateAdd(400000, 'MILLENNIA') }}", NULL },
        { "{{ d | dateAdd(1.5, 'DAYS') }}", "2024-03-08T09:05:03.123456Z" },
        { "{{ 1709802303123456 | date('iso') }}", "2024-03-07T09:05:03.123456Z" },
        { "{{ 1709802303123456789 | date('n') }}", "123456789" },
        { "{{ 9223372036854775807 | date('yyyy') }}", "2262" },
    };
    (void)state;
    CHECK_ROWS(rows, dates);
}

static void expr_numbers_are_formatted_by_printf_patterns(void **state)
{
    static const struct row rows[] = {
        { "{{ '%d %5d|%-5d|%05d|%+d|% d|%(d' | format(1, 2, 3, 4, 5, 6, -7) }}",
          "1     2|3    |00004|+5| 6|(7)" },
        { "{{ '%x %X %#x %o %x' | format(255, 255, 255, 8, -1) }}",
          "ff FF 0xff 10 ffffffffffffffff" },
        { "{{ '%f %.2f %.0f %,.2f' | format(1.5, 2.675, 2.5, 1234567.891) }}",
          "1.500000 2.68 3 1,234,567.89" },
        { "{{ '%.1f %.1f %.3f' | format(2.25, -0.05, 0.0) }}", "2.3 -0.1 0.000" },
        { "{{ '%e %.2e %.0e' | format(12345.678, 0.00012345, 9.99) }}",
          "1.234568e+04 1.23e-04 1e+01" },
        { "{{ '%g %g %.3g' | format(0.0001, 1234567.0, 0.00001234) }}",
          "0.000100000 1.23457e+06 1.23e-05" },
        { "{{ '%s %S %.2s %b %c %%%n' | format('a', 'bß', 'xyz', null, 65) }}",
          "a BSS xy false A %\n" },
        { "{{ '%2$s %1$s' | format('a', 'b') }}", "b a" },
        { "{{ '%s' | format([1, 'a', null]) }}", "[1, a, null]" },
        { "{{ '%d' | format(1.5) }}", NULL },
        { "{{ '%f' | format(1) }}", NULL },
        { "{{ '%q' | format(1) }}", NULL },
        { "{{ '%' | format(1) }}", NULL },
        { "{{ '%5' | format(1) }}", NULL },
        { "{{ '%d' | format(b) }}", "98765432109876543210" },
        { "{{ 'plain' | format }}", "plain" },
    };
    (void)state;
    CHECK_ROWS(rows, "{\"b\":98765432109876543210}");
}

static void expr_numbers_are_formatted_by_decimal_patterns(void **state)
{
    static const struct row rows[] = {
        { "{{ 0 | numberFormat('#,###') }}", "0" },
        { "{{ 0.5 | numberFormat('#.0') }} {{ 0.25 | numberFormat('.00') }}", ".5 .25" },
        { "{{ 1234567 | numberFormat('#,##,##0') }}", "1,234,567" },
        { "{{ 12345678 | numberFormat('#,####') }}", "1234,5678" },
        { "{{ 0.0012 | numberFormat('0.0‰') }}", "1.2‰" },
        { "{{ 12345 | numberFormat('0.##E0') }} {{ 0.00012 | numberFormat('00.0E00') }}",
          "1.23E4 12.0E-05" },
        { "{{ 12345 | numberFormat('##0.##E0') }}", "12.345E3" },
        { "{{ -0.4 | numberFormat('0') }}", "-0" },
        { "{{ 1.005 | numberFormat('0.00') }} {{ 0.135 | numberFormat('0.00') }}", "1.00 0.14" },
        { "{{ 5 | numberFormat(\"'#'0 'o''clock'\") }}", "#5 o'clock" },
        { "{{ b | numberFormat('#,##0.0') }}", "98,765,432,109,876,543,210.0" },
        { "{{ (1.0 / 0) | numberFormat }}", "∞" },
        { "{{ 5 | numberFormat('0#') }}", NULL },
        { "{{ 5 | numberFormat('abc') }}", "abc5" },
        { "{{ 5 | numberFormat(\"'0\") }}", NULL },
    };
    (void)state;
    CHECK_ROWS(rows, "{\"b\":98765432109876543210}");
}

static void expr_decimals_are_exact(void **state)
{
    static const struct row rows[] = {
        { "{{ ('0.1' | number('BIGDECIMAL')) + 0.2 }}", "0.3" },
        { "{{ ('1' | number('BIGDECIMAL')) / 3 }}", "0.3333333333333333333333333333333333" },
        { "{{ ('2' | number('BIGDECIMAL')) / 3 }}", "0.6666666666666666666666666666666667" },
        { "{{ ('1' | number('BIGDECIMAL')) / 8 }}", "0.125" },
        { "{{ ('7.5' | number('BIGDECIMAL')) % 2 }} {{ ('-7.5' | number('BIGDECIMAL')) % 2 }}",
          "1.5 -1.5" },
        { "{{ ('1E+5' | number('BIGDECIMAL')) }} {{ [('1E+5' | number('BIGDECIMAL'))] }}",
          "100000 [1E+5]" },
        { "{{ ('1.50' | number('BIGDECIMAL')) - 1.5 }}", "0.0" },
        { "{{ ('1' | number('BIGDECIMAL')) / 0 }}", NULL },
        { "{{ ('1' | number('BIGDECIMAL')) * (1.0 / 0) }}", NULL },
        { "{{ '1.10' | number('BIGDECIMAL') | abs }} {{ '-2.50' | number('BIGDECIMAL') | abs }}",
          "1.10 2.50" },
        { "{{ '0.1234567890123456789' | number | className }}", "java.math.BigDecimal" },
        { "{{ '1e400' | number }}|",
          "1"
          "0000000000000000000000000000000000000000000000000000000000"
          "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
          "0"
          "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
          "0"
          "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
          "0"
          "000000000000000000000000000000000000000000000000000000000000000000000000000|" },
        { "{{ '1e99999999' | number }}", NULL },
        { "{{ '-0x1F' | number }} {{ '#ff' | number }} {{ '0xFFFFFFFFFFFFFFFFFF' | number }}",
          "-31 255 4722366482869645213695" },
        { "{{ '1.5f' | number | className }} {{ '2d' | number }}", "java.lang.Float 2.0" },
        { "{{ 9223372036854775807 + 1 }} {{ b + 1 }}", "-9223372036854775808 6531711741328785131" },
        { "{{ b == b }} {{ b > 1 }} {{ b is even }}", "true true true" },
    };
    (void)state;
    CHECK_ROWS(rows, "{\"b\":98765432109876543210}");
}

static void expr_texts_count_in_utf_16(void **state)
{
    static const struct row rows[] = {
        { "{{ t | length }} {{ t | slice(1, 3) }} {{ t | slice(2) }}", "4 😀 ?b" },
        { "{{ t | first }} {{ (t | slice(1, 3)) | first }} {{ (t | slice(0, 3)) | last }}",
          "a 😀 😀" },
        { "{{ t | abbreviate(4) }}", "a..." },
        { "{{ 'straße' | upper }} {{ 'ΑΣ' | lower }} {{ 'İ' | lower | length }}", "STRASSE ας 2" },
        { "{{ 'ﬀ' > '😀' }} {{ ['ﬀ', '😀', 'z'] | sort | join }}", "true z😀ﬀ" },
        { "{{ t[0] ?? 'none' }} {{ t.length() }} {{ t.indexOf('b') }}", "none 4 3" },
        { "{{ '  x ' .trim() }}|{{ 'a,b'.split(',') }}|{{ 'aXa'.replace('a', 'b') }}",
          "x|[\"a\",\"b\"]|bXb" },
        { "{{ l.size() }} {{ l.indexOf(2) }} {{ m.containsKey('k') }} {{ m.get('x') ?? 'n' }}",
          "2 1 true n" },
        { "{{ m.keySet() }} {{ m.values() }} {{ m.entrySet() | first }} {{ l.size }} {{ l.empty }}",
          "[\"k\"] [\"v\"] k=v 2 false" },
        { "{{ (1.9).intValue() }} {{ 5.toString() }} {{ (3).doubleValue() }}", "1 5 3.0" },
        { "{{ t.toUpperCase(1) }}", NULL },
    };
    (void)state;
    CHECK_ROWS(rows, "{\"t\":\"a😀b\",\"l\":[1,2],\"m\":{\"k\":\"v\"}}");
}

static void expr_patterns_are_those_of_java(void **state)
{
    static const struct row rows[] = {
        { "{{ 'aé1' | regexReplace('\\p{Alpha}', '.') }} {{ 'aé1' | regexReplace('\\p{L}', '.') }}",
          ".é1 ..1" },
        { "{{ 'ab' | regexReplace('[\\p{Alpha}&]', '.') }} {{ 'a1' | regexReplace('\\P{Digit}', "
          "'.') }}",
          ".. .1" },
        { "{{ 'é' | regexMatch('\\w') }} {{ 'é' | regexMatch('(?U)\\w') }}", "false true" },
        { "{{ 'A' | regexMatch('\\u0041') }} {{ 'a.b' | regexMatch('^\\Qa.b\\E$') }}",
          "true true" },
        { "{{ 'x' | regexMatch('(?iu)X') }} {{ 'γ' | regexMatch('\\p{IsGreek}') }}", "true true" },
        { "{{ 'a[b' | regexReplace('[[]', '.') }}", "a.b" },
        { "{{ 'ab12' | regexReplace('(?<l>[a-z]+)(?<d>\\d+)', '${d}-${l}') }}", "12-ab" },
        { "{{ 'ab' | regexReplace('(a)(b)', '$2$10') }}", "ba0" },
        { "{{ 'abc' | regexReplace('', '-') }} {{ 'aaa' | regexReplace('a*', 'x') }}",
          "-a-b-c- xx" },
        { "{{ 'x' | regexReplace('x', '$') }}", NULL },
        { "{{ 'x' | regexReplace('x', '${no}') }}", NULL },
        { "{{ 'x' | regexMatch('[a-z&&[^b]]') }}", NULL },
        { "{{ 'x' | regexMatch('\\p{Alpha') }}", NULL },
        { "{{ 'abc' | split('') }} {{ 'a1b2' | split('\\d') }} {{ 'a1b2' | split('\\d', -1) }}",
          "[\"a\",\"b\",\"c\"] [\"a\",\"b\"] [\"a\",\"b\",\"\"]" },
        { "{{ 'a,b,c' | split(',', 2) }} {{ ',a' | split(',') }} {{ '' | split(',') }}",
          "[\"a\",\"b,c\"] [\"\",\"a\"] [\"\"]" },
    };
    (void)state;
    CHECK_ROWS(rows, "{}");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(expr_dates_have_named_formats),
    cmocka_unit_test(expr_dates_have_pattern_letters),
    cmocka_unit_test(expr_dates_speak_several_languages),
    cmocka_unit_test(expr_dates_are_read_by_pattern),
    cmocka_unit_test(expr_dates_add_across_daylight_saving),
    cmocka_unit_test(expr_numbers_are_formatted_by_printf_patterns),
    cmocka_unit_test(expr_numbers_are_formatted_by_decimal_patterns),
    cmocka_unit_test(expr_decimals_are_exact),
    cmocka_unit_test(expr_texts_count_in_utf_16),
    cmocka_unit_test(expr_patterns_are_those_of_java),
};
TEST_GROUP(expr_values, tests)
