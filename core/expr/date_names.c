/* SPDX-License-Identifier: Apache-2.0 */
#include "core/expr/date_names.h"

#include <string.h>

#include "base/check.h"
#include "base/str.h"

#define SUNDAY   7
#define MONDAY   1
#define SATURDAY 6

static const struct date_locale locales[] = {
    {
        .language = "en",
        .months = { "January", "February", "March", "April", "May", "June", "July", "August",
                    "September", "October", "November", "December" },
        .months_short = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
                          "Nov", "Dec" },
        .months_alone = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
                          "Nov", "Dec" },
        .days = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" },
        .days_short = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" },
        .months_narrow = "JFMAMJJASOND",
        .days_narrow = "MTWTFSS",
        .quarters = { "1st quarter", "2nd quarter", "3rd quarter", "4th quarter" },
        .quarter_letter = 'Q',
        .am_pm = { "AM", "PM" },
        .eras = { "BC", "AD" },
        .eras_long = { "Before Christ", "Anno Domini" },
        .eras_narrow = { "B", "A" },
        .first_day = SUNDAY,
        .min_days = 1,
        .styles = { "EEEE, MMMM d, y 'at' h:mm:ss a zzzz", "MMMM d, y 'at' h:mm:ss a z",
                    "MMM d, y, h:mm:ss a", "M/d/yy, h:mm a" },
    },
    {
        .language = "fr",
        .months = { "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août",
                    "septembre", "octobre", "novembre", "décembre" },
        .months_short = { "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.",
                          "oct.", "nov.", "déc." },
        .months_alone = { "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.",
                          "oct.", "nov.", "déc." },
        .days = { "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche" },
        .days_short = { "lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim." },
        .months_narrow = "JFMAMJJASOND",
        .days_narrow = "LMMJVSD",
        .quarters = { "1er trimestre", "2e trimestre", "3e trimestre", "4e trimestre" },
        .quarter_letter = 'T',
        .am_pm = { "AM", "PM" },
        .eras = { "av. J.-C.", "ap. J.-C." },
        .eras_long = { "avant Jésus-Christ", "après Jésus-Christ" },
        .eras_narrow = { "av. J.-C.", "ap. J.-C." },
        .first_day = MONDAY,
        .min_days = 4,
        .styles = { "EEEE d MMMM y 'à' HH:mm:ss zzzz", "d MMMM y 'à' HH:mm:ss z",
                    "d MMM y, HH:mm:ss", "dd/MM/y HH:mm" },
    },
    {
        .language = "de",
        .months = { "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August",
                    "September", "Oktober", "November", "Dezember" },
        .months_short = { "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.",
                          "Okt.", "Nov.", "Dez." },
        .months_alone = { "Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt",
                          "Nov", "Dez" },
        .days = { "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag" },
        .days_short = { "Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So." },
        .months_narrow = "JFMAMJJASOND",
        .days_narrow = "MDMDFSS",
        .quarters = { "1. Quartal", "2. Quartal", "3. Quartal", "4. Quartal" },
        .quarter_letter = 'Q',
        .am_pm = { "AM", "PM" },
        .eras = { "v. Chr.", "n. Chr." },
        .eras_long = { "v. Chr.", "n. Chr." },
        .eras_narrow = { "v. Chr.", "n. Chr." },
        .first_day = MONDAY,
        .min_days = 4,
        .styles = { "EEEE, d. MMMM y 'um' HH:mm:ss zzzz", "d. MMMM y 'um' HH:mm:ss z",
                    "dd.MM.y, HH:mm:ss", "dd.MM.yy, HH:mm" },
    },
    {
        .language = "es",
        .months = { "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto",
                    "septiembre", "octubre", "noviembre", "diciembre" },
        .months_short = { "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct",
                          "nov", "dic" },
        .months_alone = { "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct",
                          "nov", "dic" },
        .days = { "lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo" },
        .days_short = { "lun", "mar", "mié", "jue", "vie", "sáb", "dom" },
        .months_narrow = "EFMAMJJASOND",
        .days_narrow = "LMXJVSD",
        .quarters = { "1.er trimestre", "2.º trimestre", "3.er trimestre", "4.º trimestre" },
        .quarter_letter = 'T',
        .am_pm = { "a.\xc2\xa0m.", "p.\xc2\xa0m." },
        .eras = { "a. C.", "d. C." },
        .eras_long = { "antes de Cristo", "después de Cristo" },
        .eras_narrow = { "a. C.", "d. C." },
        .first_day = MONDAY,
        .min_days = 4,
        .styles = { "EEEE, d 'de' MMMM 'de' y, H:mm:ss (zzzz)", "d 'de' MMMM 'de' y, H:mm:ss z",
                    "d MMM y, H:mm:ss", "d/M/yy, H:mm" },
    },
    {
        .language = "it",
        .months = { "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio",
                    "agosto", "settembre", "ottobre", "novembre", "dicembre" },
        .months_short = { "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott",
                          "nov", "dic" },
        .months_alone = { "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott",
                          "nov", "dic" },
        .days = { "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica" },
        .days_short = { "lun", "mar", "mer", "gio", "ven", "sab", "dom" },
        .months_narrow = "GFMAMGLASOND",
        .days_narrow = "LMMGVSD",
        .quarters = { "1º trimestre", "2º trimestre", "3º trimestre", "4º trimestre" },
        .quarter_letter = 'T',
        .am_pm = { "AM", "PM" },
        .eras = { "a.C.", "d.C." },
        .eras_long = { "avanti Cristo", "dopo Cristo" },
        .eras_narrow = { "aC", "dC" },
        .first_day = MONDAY,
        .min_days = 4,
        .styles = { "EEEE d MMMM y 'alle' 'ore' HH:mm:ss zzzz", "d MMMM y 'alle' 'ore' HH:mm:ss z",
                    "d MMM y, HH:mm:ss", "dd/MM/yy, HH:mm" },
    },
    {
        .language = "pt",
        .months = { "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto",
                    "setembro", "outubro", "novembro", "dezembro" },
        .months_short = { "jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.",
                          "out.", "nov.", "dez." },
        .months_alone = { "jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.",
                          "out.", "nov.", "dez." },
        .days = { "segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira",
                  "sábado", "domingo" },
        .days_short = { "seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom." },
        .months_narrow = "JFMAMJJASOND",
        .days_narrow = "STQQSSD",
        .quarters = { "1º trimestre", "2º trimestre", "3º trimestre", "4º trimestre" },
        .quarter_letter = 'T',
        .am_pm = { "AM", "PM" },
        .eras = { "a.C.", "d.C." },
        .eras_long = { "antes de Cristo", "depois de Cristo" },
        .eras_narrow = { "a.C.", "d.C." },
        .first_day = SUNDAY,
        .min_days = 1,
        .styles = { "EEEE, d 'de' MMMM 'de' y 'às' HH:mm:ss zzzz",
                    "d 'de' MMMM 'de' y 'às' HH:mm:ss z", "d 'de' MMM 'de' y, HH:mm:ss",
                    "dd/MM/y, HH:mm" },
    },
    {
        .language = "nl",
        .months = { "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus",
                    "september", "oktober", "november", "december" },
        .months_short = { "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt",
                          "nov", "dec" },
        .months_alone = { "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt",
                          "nov", "dec" },
        .days = { "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag" },
        .days_short = { "ma", "di", "wo", "do", "vr", "za", "zo" },
        .months_narrow = "JFMAMJJASOND",
        .days_narrow = "MDWDVZZ",
        .quarters = { "1e kwartaal", "2e kwartaal", "3e kwartaal", "4e kwartaal" },
        .quarter_letter = 'K',
        .am_pm = { "a.m.", "p.m." },
        .eras = { "v.Chr.", "n.Chr." },
        .eras_long = { "voor Christus", "na Christus" },
        .eras_narrow = { "v.C.", "n.C." },
        .first_day = MONDAY,
        .min_days = 4,
        .styles = { "EEEE d MMMM y 'om' HH:mm:ss zzzz", "d MMMM y 'om' HH:mm:ss z",
                    "d MMM y HH:mm:ss", "dd-MM-y HH:mm" },
    },
};

const struct date_locale *date_locale_find(const char *tag)
{
    if (str_empty(tag))
        return &locales[0];
    size_t length = strcspn(tag, "_-");
    for (size_t i = 0; i < COUNT_OF(locales); i++) {
        if (length == 2 && str_eq_nocase(locales[i].language, (char[]){ tag[0], tag[1], '\0' }))
            return &locales[i];
    }
    return NULL;
}

/* Is the region one of a list of two-letter codes? */
static bool is_region_of(const char *list, const char *region)
{
    for (; *list != '\0'; list += 3) {
        if (list[0] == region[0] && list[1] == region[1])
            return true;
    }
    return false;
}

void date_locale_weeks(struct date_locale *locale, const char *tag)
{
    static const char sunday[] = "AG AS BD BR BS BT BW BZ CA CO DM DO ET GT GU HK HN ID IL IN JM "
                                 "JP KE KH KR LA MH MM MO MT MX MZ NI NP PA PE PH PK PR PT PY SA "
                                 "SG SV TH TT TW UM US VE VI WS YE ZA ZW ";
    static const char saturday[] = "AE AF BH DJ DZ EG IQ IR JO KW LY OM QA SD SY ";
    static const char four_days[] = "AD AN AT AX BE BG CH CZ DE DK EE ES FI FJ FO FR GB GF GG GI "
                                    "GP GR HU IE IM IS IT JE LI LT LU MC MQ NL NO PL PT RE RU SE "
                                    "SJ SK SM VA ";
    const char *region = tag + strcspn(tag, "_-");
    bool is_known = strlen(region) >= 3;
    region += is_known ? 1 : 0;
    locale->first_day = !is_known || is_region_of(sunday, region) ? SUNDAY
                        : is_region_of(saturday, region)          ? SATURDAY
                                                                  : MONDAY;
    locale->min_days = is_known && is_region_of(four_days, region) ? 4 : 1;
}

/* ---- zones with letters in tzdata ---- */

static const struct {
    const char *abbreviation;
    const char *region; /* start of the zone's name; NULL: any */
    const char *name;
    const char *generic;
    const char *generic_short;
    const char *zone; /* that people mean, for the row that defines it */
} lettered[] = {
    { "UTC", NULL, "Coordinated Universal Time", "Coordinated Universal Time", NULL, "UTC" },
    { "GMT", "Europe/Dublin", "Greenwich Mean Time", "Ireland Time", NULL, NULL },
    { "GMT", NULL, "Greenwich Mean Time", "Greenwich Mean Time", "GMT", "GMT" },
    { "BST", "Europe/", "British Summer Time", "United Kingdom Time", NULL, "Europe/London" },
    { "IST", "Europe/", "Irish Standard Time", "Ireland Time", NULL, NULL },
    { "WET", NULL, "Western European Standard Time", "Western European Time", NULL, "WET" },
    { "WEST", NULL, "Western European Summer Time", "Western European Time", NULL, "WET" },
    { "CET", NULL, "Central European Standard Time", "Central European Time", NULL,
      "Europe/Paris" },
    { "CEST", NULL, "Central European Summer Time", "Central European Time", NULL, "Europe/Paris" },
    { "EET", NULL, "Eastern European Standard Time", "Eastern European Time", NULL,
      "Europe/Bucharest" },
    { "EEST", NULL, "Eastern European Summer Time", "Eastern European Time", NULL,
      "Europe/Bucharest" },
    { "MSK", NULL, "Moscow Standard Time", "Moscow Time", NULL, "Europe/Moscow" },
    { "EST", NULL, "Eastern Standard Time", "Eastern Time", "ET", "America/New_York" },
    { "EDT", NULL, "Eastern Daylight Time", "Eastern Time", "ET", "America/New_York" },
    { "CST", "Asia/Taipei", "Taipei Standard Time", "Taipei Time", NULL, NULL },
    { "CST", "Asia/", "China Standard Time", "China Time", NULL, NULL },
    { "CST", "PRC", "China Standard Time", "China Time", NULL, NULL },
    { "CST", "America/Havana", "Cuba Standard Time", "Cuba Time", NULL, NULL },
    { "CDT", "America/Havana", "Cuba Daylight Time", "Cuba Time", NULL, NULL },
    { "CST", NULL, "Central Standard Time", "Central Time", "CT", "America/Chicago" },
    { "CDT", NULL, "Central Daylight Time", "Central Time", "CT", "America/Chicago" },
    { "MST", NULL, "Mountain Standard Time", "Mountain Time", "MT", "America/Denver" },
    { "MDT", NULL, "Mountain Daylight Time", "Mountain Time", "MT", "America/Denver" },
    { "PST", "Asia/", "Philippine Standard Time", "Philippine Time", NULL, NULL },
    { "PST", NULL, "Pacific Standard Time", "Pacific Time", "PT", "America/Los_Angeles" },
    { "PDT", NULL, "Pacific Daylight Time", "Pacific Time", "PT", "America/Los_Angeles" },
    { "AKST", NULL, "Alaska Standard Time", "Alaska Time", "AKT", "America/Anchorage" },
    { "AKDT", NULL, "Alaska Daylight Time", "Alaska Time", "AKT", "America/Anchorage" },
    { "HST", NULL, "Hawaii-Aleutian Standard Time", "Hawaii-Aleutian Time", "HST",
      "Pacific/Honolulu" },
    { "AST", NULL, "Atlantic Standard Time", "Atlantic Time", "AT", "America/Halifax" },
    { "ADT", NULL, "Atlantic Daylight Time", "Atlantic Time", "AT", "America/Halifax" },
    { "NST", NULL, "Newfoundland Standard Time", "Newfoundland Time", NULL, "America/St_Johns" },
    { "NDT", NULL, "Newfoundland Daylight Time", "Newfoundland Time", NULL, "America/St_Johns" },
    { "WAT", NULL, "West Africa Standard Time", "West Africa Time", NULL, "Africa/Lagos" },
    { "CAT", NULL, "Central Africa Time", "Central Africa Time", NULL, "Africa/Maputo" },
    { "EAT", NULL, "East Africa Time", "East Africa Time", NULL, "Africa/Nairobi" },
    { "SAST", NULL, "South Africa Standard Time", "South Africa Standard Time", NULL,
      "Africa/Johannesburg" },
    { "IST", "Asia/Jerusalem", "Israel Standard Time", "Israel Time", NULL, NULL },
    { "IDT", NULL, "Israel Daylight Time", "Israel Time", NULL, "Asia/Jerusalem" },
    { "IST", NULL, "India Standard Time", "India Standard Time", NULL, "Asia/Kolkata" },
    { "PKT", NULL, "Pakistan Standard Time", "Pakistan Time", NULL, "Asia/Karachi" },
    { "WIB", NULL, "Western Indonesia Time", "Western Indonesia Time", NULL, "Asia/Jakarta" },
    { "WITA", NULL, "Central Indonesia Time", "Central Indonesia Time", NULL, "Asia/Makassar" },
    { "WIT", NULL, "Eastern Indonesia Time", "Eastern Indonesia Time", NULL, "Asia/Jayapura" },
    { "HKT", NULL, "Hong Kong Standard Time", "Hong Kong Time", NULL, "Asia/Hong_Kong" },
    { "KST", NULL, "Korean Standard Time", "Korean Time", NULL, "Asia/Seoul" },
    { "JST", NULL, "Japan Standard Time", "Japan Time", NULL, "Asia/Tokyo" },
    { "AWST", NULL, "Australian Western Standard Time", "Western Australia Time", NULL,
      "Australia/Perth" },
    { "ACST", NULL, "Australian Central Standard Time", "Central Australia Time", NULL,
      "Australia/Adelaide" },
    { "ACDT", NULL, "Australian Central Daylight Time", "Central Australia Time", NULL,
      "Australia/Adelaide" },
    { "AEST", NULL, "Australian Eastern Standard Time", "Eastern Australia Time", NULL,
      "Australia/Sydney" },
    { "AEDT", NULL, "Australian Eastern Daylight Time", "Eastern Australia Time", NULL,
      "Australia/Sydney" },
    { "NZST", NULL, "New Zealand Standard Time", "New Zealand Time", NULL, "Pacific/Auckland" },
    { "NZDT", NULL, "New Zealand Daylight Time", "New Zealand Time", NULL, "Pacific/Auckland" },
};

/* ---- zones that tzdata gives digits only ---- */

static const struct {
    const char *zone;
    const char *letters; /* standard */
    const char *letters_dst;
    const char *name;
    const char *name_dst;
    const char *generic;
} unlettered[] = {
    { "America/Sao_Paulo", "BRT", "BRST", "Brasilia Standard Time", "Brasilia Summer Time",
      "Brasilia Time" },
    { "America/Argentina/Buenos_Aires", "ART", "ARST", "Argentina Standard Time",
      "Argentina Summer Time", "Argentina Time" },
    { "America/Santiago", "CLT", "CLST", "Chile Standard Time", "Chile Summer Time", "Chile Time" },
    { "America/Bogota", "COT", "COST", "Colombia Standard Time", "Colombia Summer Time",
      "Colombia Time" },
    { "America/Lima", "PET", "PEST", "Peru Standard Time", "Peru Summer Time", "Peru Time" },
    { "America/Caracas", "VET", NULL, "Venezuela Time", NULL, "Venezuela Time" },
    { "America/Montevideo", "UYT", "UYST", "Uruguay Standard Time", "Uruguay Summer Time",
      "Uruguay Time" },
    { "Atlantic/Azores", "AZOT", "AZOST", "Azores Standard Time", "Azores Summer Time",
      "Azores Time" },
    { "Europe/Istanbul", "TRT", NULL, "Turkey Time", NULL, "Turkey Time" },
    { "Asia/Riyadh", "AST", NULL, "Arabian Standard Time", NULL, "Arabian Time" },
    { "Asia/Dubai", "GST", NULL, "Gulf Standard Time", NULL, "Gulf Standard Time" },
    { "Asia/Tehran", "IRST", "IRDT", "Iran Standard Time", "Iran Daylight Time", "Iran Time" },
    { "Asia/Kabul", "AFT", NULL, "Afghanistan Time", NULL, "Afghanistan Time" },
    { "Asia/Tashkent", "UZT", NULL, "Uzbekistan Standard Time", NULL, "Uzbekistan Time" },
    { "Asia/Colombo", "IST", NULL, "India Standard Time", NULL, "India Standard Time" },
    { "Asia/Kathmandu", "NPT", NULL, "Nepal Time", NULL, "Nepal Time" },
    { "Asia/Dhaka", "BDT", NULL, "Bangladesh Standard Time", NULL, "Bangladesh Time" },
    { "Asia/Yangon", "MMT", NULL, "Myanmar Time", NULL, "Myanmar Time" },
    { "Asia/Bangkok", "ICT", NULL, "Indochina Time", NULL, "Indochina Time" },
    { "Asia/Ho_Chi_Minh", "ICT", NULL, "Indochina Time", NULL, "Indochina Time" },
    { "Asia/Singapore", "SGT", NULL, "Singapore Standard Time", NULL, "Singapore Standard Time" },
    { "Asia/Kuala_Lumpur", "MYT", NULL, "Malaysia Time", NULL, "Malaysia Time" },
};

const char *zone_long_name(const char *zone, const char *abbreviation, bool is_dst)
{
    for (size_t i = 0; i < COUNT_OF(unlettered); i++) {
        if (str_eq(unlettered[i].zone, zone))
            return is_dst ? unlettered[i].name_dst : unlettered[i].name;
    }
    for (size_t i = 0; i < COUNT_OF(lettered); i++) {
        if (str_eq(lettered[i].abbreviation, abbreviation) &&
            (lettered[i].region == NULL || str_starts(zone, lettered[i].region)))
            return lettered[i].name;
    }
    return NULL;
}

const char *zone_short_name(const char *zone, bool is_dst)
{
    for (size_t i = 0; i < COUNT_OF(unlettered); i++) {
        if (str_eq(unlettered[i].zone, zone))
            return is_dst ? unlettered[i].letters_dst : unlettered[i].letters;
    }
    return NULL;
}

/* The abbreviation of standard time that goes with that of a row: CET for CEST. */
static const char *standard_letters(size_t row)
{
    for (size_t i = 0; i < row && lettered[row].generic != NULL; i++) {
        if (lettered[i].generic != NULL && str_eq(lettered[i].generic, lettered[row].generic))
            return lettered[i].abbreviation;
    }
    return lettered[row].abbreviation;
}

const char *zone_generic_name(const char *zone, const char *abbreviation, bool is_long)
{
    for (size_t i = 0; i < COUNT_OF(unlettered); i++) {
        if (str_eq(unlettered[i].zone, zone))
            return is_long ? unlettered[i].generic : unlettered[i].letters;
    }
    for (size_t i = 0; i < COUNT_OF(lettered); i++) {
        if (str_eq(lettered[i].abbreviation, abbreviation) &&
            (lettered[i].region == NULL || str_starts(zone, lettered[i].region)))
            return is_long                             ? lettered[i].generic
                   : lettered[i].generic_short != NULL ? lettered[i].generic_short
                                                       : standard_letters(i);
    }
    return NULL;
}

const char *zone_of_abbreviation(const char *abbreviation, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(lettered); i++) {
        if (lettered[i].zone != NULL && strlen(lettered[i].abbreviation) == length &&
            memcmp(lettered[i].abbreviation, abbreviation, length) == 0)
            return lettered[i].zone;
    }
    return NULL;
}

const char *zone_of_long_name(const char **at, const char *end)
{
    const char *zone = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < COUNT_OF(lettered); i++) {
        const char *names[] = { lettered[i].name, lettered[i].generic };
        for (size_t j = 0; j < COUNT_OF(names) && lettered[i].zone != NULL; j++) {
            size_t length = names[j] == NULL ? 0 : strlen(names[j]);
            if (length > longest && length <= (size_t)(end - *at) &&
                memcmp(*at, names[j], length) == 0) {
                longest = length;
                zone = lettered[i].zone;
            }
        }
    }
    *at += longest;
    return zone;
}
