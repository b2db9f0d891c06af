"""A source in which shoppers declare nothing about themselves."""

NO_SHOPPERS = """
    CREATE TEMP VIEW raw_shoppers AS
    SELECT NULL::VARCHAR AS shopper_id, NULL::VARCHAR AS age_band, NULL::VARCHAR AS gender, NULL::VARCHAR AS region
    WHERE false
"""
"""The view `raw_shoppers` of such a source."""
